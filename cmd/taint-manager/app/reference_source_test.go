/*
Copyright The taint-manager Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package app

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sources calls do with each file of the product below a directory: not with tests, nor with what only tests use.
func sources(t *testing.T, directory string, do func(path string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{"testing", "testdata"}, entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil {
			do(filepath.ToSlash(path), file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

type eventReason struct{ value, meaning string }

// eventReasons returns the constants of a package that are reasons of Events. The comment on each begins with
// "<name> is the reason of", and goes on with the meaning.
func eventReasons(t *testing.T, directory string) (reasons []eventReason) {
	t.Helper()
	sources(t, directory, func(_ string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
				return true
			}
			value := stringOf(spec.Values[0])
			if !strings.HasPrefix(value, "TaintManager") {
				return true
			}
			comment := strings.Join(strings.Fields(spec.Doc.Text()), " ")
			meaning, ok := strings.CutPrefix(comment, spec.Names[0].Name+" is the reason of ")
			if !ok {
				t.Errorf("the comment on %s does not begin with %q", spec.Names[0].Name, spec.Names[0].Name+" is the reason of ")
				return true
			}
			reasons = append(reasons, eventReason{value, strings.ToUpper(meaning[:1]) + meaning[1:]})
			return true
		})
	})
	return reasons
}

type logMessage struct {
	level      int
	isError    bool
	text, from string
}

// logMessages returns the messages that the sources below some directories log, by verbosity, those of errors first.
func logMessages(t *testing.T, directories ...string) (messages []logMessage) {
	t.Helper()
	for _, directory := range directories {
		sources(t, directory, func(file string, parsed *ast.File) {
			from := strings.TrimLeft(path.Dir(file), "./")
			for _, declaration := range parsed.Decls {
				if function, ok := declaration.(*ast.FuncDecl); ok && function.Body != nil {
					messages = append(messages, messagesOf(function, from)...)
				}
			}
		})
	}
	slices.SortStableFunc(messages, func(a, b logMessage) int {
		return cmp.Or(cmp.Compare(a.level, b.level), -compareBools(a.isError, b.isError), cmp.Compare(a.from, b.from))
	})
	return slices.Compact(messages)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// messagesOf returns what a function logs.
func messagesOf(function *ast.FuncDecl, from string) (messages []logMessage) {
	ast.Inspect(function, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		argument, isError := 0, selector.Sel.Name == "Error"
		if isError {
			argument = 1
		} else if selector.Sel.Name != "Info" {
			return true
		}
		if len(call.Args) <= argument {
			return true
		}
		if text := stringOf(call.Args[argument]); text != "" {
			for _, level := range levelsOf(function, selector.X) {
				messages = append(messages, logMessage{level, isError, text, from})
			}
		}
		return true
	})
	return messages
}

// levelsOf returns the verbosities that a logger may have: those of the calls of V in the expression, or in what its variable was
// assigned in the function.
func levelsOf(function *ast.FuncDecl, logger ast.Expr) []int {
	levels := []int{0}
	ast.Inspect(logger, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if selector, ok := n.Fun.(*ast.SelectorExpr); ok && selector.Sel.Name == "V" && len(n.Args) == 1 {
				levels = numbersOf(function, n.Args[0])
			}
		case *ast.Ident:
			for _, assigned := range assignedTo(function, n.Name) {
				if found := levelsOf(function, assigned); len(found) != 1 || found[0] != 0 {
					levels = found
				}
			}
		}
		return true
	})
	return levels
}

// numbersOf returns the numbers that an expression may have: of a variable, all that it is assigned in the function.
func numbersOf(function *ast.FuncDecl, expression ast.Expr) (numbers []int) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if n, err := strconv.Atoi(e.Value); err == nil {
			numbers = append(numbers, n)
		}
	case *ast.Ident:
		for _, assigned := range assignedTo(function, e.Name) {
			numbers = append(numbers, numbersOf(function, assigned)...)
		}
	}
	return numbers
}

// assignedTo returns what a variable is assigned in a function.
func assignedTo(function *ast.FuncDecl, name string) (values []ast.Expr) {
	ast.Inspect(function, func(n ast.Node) bool {
		assignment, ok := n.(*ast.AssignStmt)
		if !ok || len(assignment.Lhs) != len(assignment.Rhs) {
			return true
		}
		for i, left := range assignment.Lhs {
			// Not what is made of itself: the search would not end.
			if variable, ok := left.(*ast.Ident); ok && variable.Name == name && !mentions(assignment.Rhs[i], name) {
				values = append(values, assignment.Rhs[i])
			}
		}
		return true
	})
	return values
}

func mentions(expression ast.Expr, name string) (found bool) {
	ast.Inspect(expression, func(n ast.Node) bool {
		variable, ok := n.(*ast.Ident)
		found = found || ok && variable.Name == name
		return !found
	})
	return found
}

// stringOf returns a string constant, or one that is put together, with an ellipsis in place of what is known when it runs.
func stringOf(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		left, right := stringOf(e.X), stringOf(e.Y)
		if left == "" && right == "" {
			return ""
		}
		return cmp.Or(left, "…") + cmp.Or(right, "…")
	}
	return ""
}
