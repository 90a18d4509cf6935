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

// Package mutation changes the source of packages of pkg for a build, by an overlay: to put a known defect into the controller, or a plain
// mechanism in place of a clever one. The product has no flags and no hooks for that.
//
// A change is found in the syntax tree, by the name of a declaration, so that neither comments nor layout matter. What does not occur
// exactly once is an error: a mutation cannot silently change nothing.
package mutation

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Edit changes the source of one declaration.
type Edit struct {
	// In names the declaration, as in "evictor.Evictor.deletePod" for a method, or "taintstart.maxAbsence" for a constant.
	In string
	// Find is an expression, or statements that follow each other, which the declaration has once. The identifier _ in it stands for any
	// expression. If find is empty, it is the value of a constant, and the empty place before the first statement of a function.
	Find string
	// Put is what takes its place. It may have the found source in it, as $0.
	Put string
}

// Apply returns the files that the edits change, with their new text, by path. Pkg is the directory of pkg. Later edits see what earlier ones
// did.
func Apply(pkg string, edits []Edit) (map[string][]byte, error) {
	edited := map[string][]byte{}
	for _, e := range edits {
		path, text, err := e.apply(pkg, edited)
		if err != nil {
			return nil, err
		}
		edited[path] = text
	}
	return edited, nil
}

// source is a file of a package of pkg.
type source struct {
	path string
	text []byte
	fset *token.FileSet
	file *ast.File
}

// parse parses a file. The text is what an earlier edit made of it, or nil for what is on the disk.
func parse(path string, text []byte) (*source, error) {
	if text == nil {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	s := &source{path: path, text: text, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, path, text, parser.SkipObjectResolution)
	return s, err
}

// apply returns the path of the file that has the declaration, and its text after the edit. Edited are the texts of earlier edits by
// path.
func (e Edit) apply(pkg string, edited map[string][]byte) (path string, text []byte, err error) {
	dir, name, _ := strings.Cut(e.In, ".")
	paths, err := filepath.Glob(filepath.Join(pkg, dir, "*.go"))
	if err != nil {
		return "", nil, err
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			return "", nil, err
		}
		s, err := parse(path, edited[path])
		if err != nil {
			return "", nil, err
		}
		if decl := declaration(s.file, name); decl != nil {
			text, err := s.replace(decl, e)
			return path, text, err
		}
	}
	return "", nil, fmt.Errorf("there is no %s", e.In)
}

// declaration returns the function, method, constant, variable or type of a name, or nil.
func declaration(file *ast.File, name string) (found ast.Node) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if functionName(d) == name {
				return d
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.Name == name {
						return s
					}
				case *ast.ValueSpec:
					if slices.ContainsFunc(s.Names, func(n *ast.Ident) bool { return n.Name == name }) {
						return s
					}
				}
			}
		}
	}
	return nil
}

func functionName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	receiver := d.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	if ident, ok := receiver.(*ast.Ident); ok {
		return ident.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

// replace returns the text of the file with the edit in one of its declarations.
func (s *source) replace(decl ast.Node, e Edit) ([]byte, error) {
	places, err := e.places(decl)
	if err != nil {
		return nil, err
	}
	if len(places) != 1 {
		return nil, fmt.Errorf("%s has %d times: %s", e.In, len(places), e.Find)
	}
	from, to := s.fset.Position(places[0].from).Offset, s.fset.Position(places[0].to).Offset
	put := strings.ReplaceAll(e.Put, "$0", string(s.text[from:to]))
	return slices.Concat(s.text[:from], []byte(put), s.text[to:]), nil
}

// place is a part of a source.
type place struct{ from, to token.Pos }

// places returns where a declaration has what the edit finds.
func (e Edit) places(decl ast.Node) (places []place, err error) {
	if e.Find == "" {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			return []place{{d.Body.Lbrace + 1, d.Body.Lbrace + 1}}, nil
		case *ast.ValueSpec:
			_, name, _ := strings.Cut(e.In, ".")
			i := slices.IndexFunc(d.Names, func(n *ast.Ident) bool { return n.Name == name })
			return []place{{d.Values[i].Pos(), d.Values[i].End()}}, nil
		}
	}
	if expression, err := parser.ParseExpr(e.Find); err == nil {
		ast.Inspect(decl, func(n ast.Node) bool {
			if n, ok := n.(ast.Expr); ok && matches(reflect.ValueOf(expression), reflect.ValueOf(n)) {
				places = append(places, place{n.Pos(), n.End()})
			}
			return true
		})
		return places, nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+e.Find+"\n}\n", parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Find, err)
	}
	find := file.Decls[0].(*ast.FuncDecl).Body.List
	ast.Inspect(decl, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		}
		for i := 0; i+len(find) <= len(list); i++ {
			if matches(reflect.ValueOf(find), reflect.ValueOf(list[i:i+len(find)])) {
				places = append(places, place{list[i].Pos(), list[i+len(find)-1].End()})
			}
		}
		return true
	})
	return places, nil
}

// matches reports whether two syntax trees are the same, apart from positions and comments. An identifier _ in the first one matches any
// expression.
func matches(find, in reflect.Value) bool {
	if find.Kind() == reflect.Interface {
		find = find.Elem()
	}
	if in.Kind() == reflect.Interface {
		in = in.Elem()
	}
	if !find.IsValid() || !in.IsValid() {
		return find.IsValid() == in.IsValid()
	}
	if ident, ok := find.Interface().(*ast.Ident); ok && ident != nil && ident.Name == "_" {
		_, expression := in.Interface().(ast.Expr)
		return expression
	}
	if find.Type() != in.Type() {
		return false
	}
	switch find.Type() {
	case reflect.TypeFor[token.Pos](), reflect.TypeFor[*ast.CommentGroup]():
		return true
	}
	switch find.Kind() {
	case reflect.Pointer:
		if find.IsNil() || in.IsNil() {
			return find.IsNil() == in.IsNil()
		}
		return matches(find.Elem(), in.Elem())
	case reflect.Struct:
		for i := range find.NumField() {
			if !matches(find.Field(i), in.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if find.Len() != in.Len() {
			return false
		}
		for i := range find.Len() {
			if !matches(find.Index(i), in.Index(i)) {
				return false
			}
		}
		return true
	default:
		return find.Equal(in)
	}
}
