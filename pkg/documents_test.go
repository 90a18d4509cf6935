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

package pkg

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	basemetrics "k8s.io/component-base/metrics"

	kubectlplugin "github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/app"
	"github.com/taint-manager/taint-manager/cmd/taint-manager/app"
	"github.com/taint-manager/taint-manager/pkg/metrics"
)

// root is the top of the repository.
const root = ".."

// foreignFlags are flags of other programs that documents name.
var foreignFlags = []string{"controllers", "patches", "config", "field-selector", "show-managed-fields", "take-ownership", "certificate-identity", "service-account-extend-token-expiration", "values"}

// goFlags are flags of the go command itself that documents use.
var goFlags = []string{"race", "run", "count", "v", "bench", "fuzz", "timeout", "update"}

// document is a Markdown file of the repository, with what it has of code.
type document struct {
	path string
	// blocks are the lines of code blocks, spans the pieces of code in sentences and tables, links the targets of links.
	blocks, spans, links []string
	// anchors are where a link into the document may point.
	anchors sets.Set[string]
}

var (
	span    = regexp.MustCompile("`([^`]+)`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// documents reads all Markdown files.
func documents(t *testing.T) (all []*document) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", ".cache", "testdata"}, entry.Name()):
			return filepath.SkipDir
		case !entry.IsDir() && filepath.Ext(path) == ".md":
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all = append(all, read(path, string(data)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read takes a document apart.
func read(path, text string) *document {
	d := &document{path: path, anchors: sets.New[string]()}
	fenced, blank := false, true
	for line := range strings.SplitSeq(text, "\n") {
		indented, isIndented := strings.CutPrefix(line, "    ")
		isIndented = isIndented && blank
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced:
			d.blocks = append(d.blocks, line)
		case isIndented:
			d.blocks = append(d.blocks, indented)
		default:
			for _, found := range span.FindAllStringSubmatch(line, -1) {
				d.spans = append(d.spans, found[1])
			}
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				d.links = append(d.links, found[1])
			}
			if title := strings.TrimLeft(line, "#"); strings.HasPrefix(title, " ") && title != line {
				slug := notSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
				d.anchors.Insert(strings.ReplaceAll(slug, " ", "-"))
			}
		}
		blank = line == "" || isIndented
	}
	return d
}

// code returns all code of a document, as command lines.
func (d *document) code() []string { return slices.Concat(d.blocks, d.spans) }

// words splits a command line up to a comment or the end of the command.
func words(line string) []string {
	words := strings.Fields(strings.NewReplacer(`"`, " ", "'", " ").Replace(line))
	for i, word := range words {
		if strings.HasPrefix(word, "#") || slices.Contains([]string{"|", "||", "&&", ";", ">"}, word) {
			return words[:i]
		}
	}
	return words
}

// TestDocumentsNameMakeTargets checks the targets and variables of each make command.
func TestDocumentsNameMakeTargets(t *testing.T) {
	known, found := makefile(t), 0
	for _, d := range documents(t) {
		for _, line := range d.code() {
			found += len(known.check(t, d.path, line))
		}
	}
	if found == 0 {
		t.Error("no make commands were found")
	}
}

// makeFile is the text of the Makefile.
type makeFile string

func makefile(t *testing.T) makeFile {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	return makeFile(data)
}

// check fails the test if a command line is one of make and names a target or a variable that is not in the Makefile. It returns what the line
// names.
func (m makeFile) check(t *testing.T, path, line string) []string {
	t.Helper()
	all := words(line)
	if len(all) < 2 || all[0] != "make" {
		return nil
	}
	for _, word := range all[1:] {
		name, _, isVariable := strings.Cut(word, "=")
		pattern := `(?m)^` + regexp.QuoteMeta(name) + `:`
		if isVariable {
			pattern = `\b` + regexp.QuoteMeta(name) + `\b`
		}
		if strings.HasPrefix(word, "-") { // part of the value of a variable
			continue
		}
		if !regexp.MustCompile(pattern).MatchString(string(m)) {
			t.Errorf("%s: %q: the Makefile has no %s", path, line, name)
		}
	}
	return all[1:]
}

// TestDocumentsNameFiles checks the paths in code: of go commands, of kubectl apply -k, and those that stand alone.
func TestDocumentsNameFiles(t *testing.T) {
	ours := regexp.MustCompile(`^(\./)?(cmd|pkg|manifests|e2e|\.github|\.tools)(/[A-Za-z0-9_./-]*)?$`)
	found := 0
	for _, d := range documents(t) {
		for _, line := range d.code() {
			for _, word := range words(line) {
				if path := strings.TrimSuffix(word, "/..."); ours.MatchString(path) {
					found++
					if _, err := os.Stat(filepath.Join(root, path)); err != nil {
						t.Errorf("%s: %q: %v", d.path, line, err)
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no paths were found")
	}
}

// TestDocumentsNameFlags checks that each flag is one of taint-manager's, or of a program of this repository.
func TestDocumentsNameFlags(t *testing.T) {
	known := sets.New(slices.Concat(foreignFlags, goFlags)...).Union(declaredFlags(t)).Insert("help", "version")
	groups := app.NewOptions().Flags()
	for _, set := range groups.FlagSets {
		set.VisitAll(func(f *pflag.Flag) { known.Insert(f.Name) })
	}
	known = known.Union(pluginFlags())
	flag := regexp.MustCompile(`^--?([a-z][a-z0-9-]+)(=.*)?$`)
	found := 0
	for _, d := range documents(t) {
		for _, line := range d.code() {
			all := words(line)
			if len(all) > 0 && slices.Contains([]string{"kubectl", "helm", "kubeadm", "sed", "docker", "kind", "journalctl", "git", "cosign", "sha256sum", "skopeo"}, all[0]) {
				continue
			}
			for _, word := range all {
				if parts := flag.FindStringSubmatch(strings.TrimPrefix(word, "BENCH_FLAGS=")); parts != nil && strings.HasPrefix(word, "--") || parts != nil && all[0] == "go" {
					found++
					if !known.Has(parts[1]) {
						t.Errorf("%s: %q: nobody has a flag --%s", d.path, line, parts[1])
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no flags were found")
	}
}

// pluginFlags returns the names of the flags of the kubectl plugin and its verbs.
func pluginFlags() sets.Set[string] {
	names := sets.New[string]()
	plugin := kubectlplugin.NewCommand(genericiooptions.NewTestIOStreamsDiscard())
	for _, cmd := range append(plugin.Commands(), plugin) {
		for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { names.Insert(f.Name) })
		}
	}
	return names
}

// declaredFlags returns the names of the flags that programs and tests of this repository declare with Go's package flag.
func declaredFlags(t *testing.T) sets.Set[string] {
	t.Helper()
	names := sets.New[string]()
	declares := regexp.MustCompile(`^(Bool|Int|Uint|Uint64|String|Duration|Float64|Func|Text)(Var)?$`)
	for _, directory := range []string{"e2e", "pkg", ".tools"} {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if selector, ok := call.Fun.(*ast.SelectorExpr); !ok || !declares.MatchString(selector.Sel.Name) {
					return true
				}
				for _, argument := range call.Args[:min(2, len(call.Args))] {
					if literal, ok := argument.(*ast.BasicLit); ok && literal.Kind == token.STRING {
						if name, err := strconv.Unquote(literal.Value); err == nil {
							names.Insert(name)
							break
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestDocumentsNameMetrics checks the metrics of our own.
func TestDocumentsNameMetrics(t *testing.T) {
	known := sets.New[string]()
	if _, err := metrics.New(func(metric basemetrics.Registerable) error {
		known.Insert(metric.FQName())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(`\btaint_(?:manager|eviction_controller)_[a-z0-9_]*[a-z0-9]`)
	for _, d := range documents(t) {
		for _, line := range d.code() {
			for _, name := range ours.FindAllString(line, -1) {
				if !known.Has(name) {
					t.Errorf("%s: %q: there is no metric %s", d.path, line, name)
				}
			}
		}
	}
}

// TestDocumentsLink checks the links within the repository.
func TestDocumentsLink(t *testing.T) {
	all := documents(t)
	byPath := map[string]*document{}
	for _, d := range all {
		byPath[d.path] = d
	}
	for _, d := range all {
		for _, target := range d.links {
			if strings.Contains(target, "://") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			file := d.path
			if path != "" {
				file = filepath.Join(filepath.Dir(d.path), path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: link %s: %v", d.path, target, err)
			} else if other := byPath[file]; anchor != "" && (other == nil || !other.anchors.Has(anchor)) {
				t.Errorf("%s: link %s: %s has no such heading", d.path, target, file)
			}
		}
	}
}
