package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// database has one invented vulnerability: in every version of Go, one should not call strings.ToUpper.
func database() map[string]string {
	const id, modified = "GO-0000-0001", `"modified":"2026-01-01T00:00:00Z"`
	return map[string]string{
		"index/db.json":      `{` + modified + `}`,
		"index/modules.json": `[{"path":"stdlib","vulns":[{"id":"` + id + `",` + modified + `}]}]`,
		"index/vulns.json":   `[{"id":"` + id + `",` + modified + `}]`,
		"ID/" + id + ".json": `{"schema_version":"1.3.1","id":"` + id + `",` + modified + `,"published":"2026-01-01T00:00:00Z",
			"summary":"invented by a test","details":"invented by a test","database_specific":{"url":"https://example.com"},"affected":[{"package":{"name":"stdlib","ecosystem":"Go"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"strings","symbols":["ToUpper"]}]}}]}`,
	}
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range files {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// program is a module whose main function does what the body says.
func program(t *testing.T, body string) string {
	t.Helper()
	return write(t, map[string]string{
		"go.mod":  "module example.com/program\n\ngo 1.26.0\n",
		"main.go": "package main\n\nimport \"strings\"\n\nfunc main() {\n\tprintln(" + body + ")\n}\n",
	})
}

func TestVulnerability(t *testing.T) {
	db := "file://" + write(t, database())
	var out bytes.Buffer
	err := run(t.Context(), []string{"-C", program(t, `strings.ToUpper("x")`), "-db", db, "./..."}, &out)
	if err == nil || !strings.Contains(out.String(), "GO-0000-0001") {
		t.Errorf("a program that calls what is vulnerable gives %v and prints\n%s", err, &out)
	}
	out.Reset()
	err = run(t.Context(), []string{"-C", program(t, `strings.ToLower("X")`), "-db", db, "./..."}, &out)
	if err != nil || strings.Contains(out.String(), "Skipped") {
		t.Errorf("a program that does not call it gives %v and prints\n%s", err, &out)
	}
}

func TestUnreachable(t *testing.T) {
	// The port was free a moment ago: a connection is refused.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, db := range []string{"http://" + address, "https://database.invalid"} {
		var out bytes.Buffer
		err := run(t.Context(), []string{"-db", db, "./..."}, &out)
		if err != nil || !strings.HasPrefix(out.String(), "Skipped the check for known vulnerabilities: its database cannot be reached") ||
			strings.Count(out.String(), "\n") != 1 {
			t.Errorf("without %s: got %v and printed\n%s\nwant one sentence that the check was skipped", db, err, &out)
		}
	}
}

func TestOtherErrors(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	good := "file://" + write(t, database())
	for name, args := range map[string][]string{
		"a server without database": {"-db", server.URL, "./..."},
		"a directory without one":   {"-db", "file://" + t.TempDir(), "./..."},
		"no URL":                    {"-db", "nonsense", "./..."},
		"a module that is none":     {"-C", t.TempDir(), "-db", good, "./..."},
		"code that does not build":  {"-C", program(t, "nonsense"), "-db", good, "./..."},
		"an unknown flag":           {"-nonsense"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%s is taken for good; printed\n%s", name, &out)
		}
	}
}
