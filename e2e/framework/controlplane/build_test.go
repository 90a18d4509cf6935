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

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindServers(t *testing.T) {
	working := workingDir(t)
	want := filepath.Join(working, "servers")
	for _, start := range []string{
		working, want, filepath.Dir(filepath.Dir(working)), filepath.Join(working, "cmd", "cluster"),
	} {
		if got, err := findServers(start); err != nil || got != want {
			t.Errorf("from %s: %q, %v", start, got, err)
		}
	}
	if got, err := findServers(t.TempDir()); err == nil {
		t.Errorf("outside of the repository: %q", got)
	}
}

func TestCacheKey(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module a")
	write(t, filepath.Join(dir, "go.sum"), "")
	key := func(inputs ...string) string {
		key, err := cacheKey(dir, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := key("flags", "go1")
	if again := key("flags", "go1"); again != first {
		t.Errorf("the same gave %s, then %s", first, again)
	}
	seen := map[string]string{first: "the first"}
	check := func(what, key string) {
		if other, ok := seen[key]; ok {
			t.Errorf("%s gives the same key as %s", what, other)
		}
		seen[key] = what
	}
	check("another version of Go", key("flags", "go2"))
	check("other flags", key("flag", "sgo1"))
	write(t, filepath.Join(dir, "go.sum"), "sum")
	check("another go.sum", key("flags", "go1"))
	write(t, filepath.Join(dir, "go.mod"), "module b")
	check("another go.mod", key("flags", "go1"))
}

func TestKubernetesVersion(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{
		"module a\n\nrequire k8s.io/kubernetes v1.36.3 // indirect\n",
		"module a\n\nreplace k8s.io/api => k8s.io/api v0.36.3\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n",
	} {
		write(t, filepath.Join(dir, "go.mod"), text)
		if version, err := kubernetesVersion(dir); err != nil || version.String() != "1.36.3" {
			t.Errorf("%q: %v, %v", text, version, err)
		}
	}
	write(t, filepath.Join(dir, "go.mod"), "module k8s.io/kubernetes\n")
	if version, err := kubernetesVersion(dir); err == nil {
		t.Errorf("none: %q", version)
	}
}

func TestBinariesPrefersAssets(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(AssetsVariable, dir)
	for _, name := range []string{"etcd", "kwok", "kwok-stages.yaml"} {
		write(t, filepath.Join(dir, name), "")
	}
	t.Chdir(t.TempDir()) // where nothing can be built
	got, err := Binaries(t.Context(), nil, Etcd, Kwok)
	if err != nil {
		t.Fatal(err)
	}
	if got[Etcd] != filepath.Join(dir, "etcd") || got[Kwok] != filepath.Join(dir, "kwok") {
		t.Errorf("got %v", got)
	}
	_, err = Binaries(t.Context(), nil, Etcd, Scheduler)
	if err == nil {
		t.Fatal("a program was found that is not there")
	}
	for _, want := range []string{"kube-scheduler", AssetsVariable, modulePath} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if _, err := Binaries(t.Context(), nil, "kube-proxy"); err == nil {
		t.Error("an unknown program was found")
	}
}

func TestBuildLeavesNoUnfinishedProgram(t *testing.T) {
	servers := t.TempDir()
	write(t, filepath.Join(servers, "go.mod"), "module broken\n\ngo 1.26\n")
	var progress bytes.Buffer
	b := &builder{servers: servers, cache: t.TempDir(), progress: &progress}
	err := b.ensure(t.Context(), []Program{Etcd})
	if err == nil || !strings.Contains(err.Error(), "go.etcd.io/etcd") {
		t.Errorf("the build gave %v", err)
	}
	if len(b.missing([]Program{Etcd})) != 1 {
		t.Error("there is a program")
	}
	entries, err := os.ReadDir(b.cache)
	if err != nil || len(entries) != 1 || entries[0].Name() != "lock" {
		t.Errorf("the cache holds %v, %v", entries, err)
	}
}

func TestMeter(t *testing.T) {
	var out bytes.Buffer
	m := newMeter(&out, "etcd")
	for _, piece := range []string{
		"go: downloading go.etcd.io/raft/v3 v3.6.0\ninternal/abi\nk8s.io/ap", "i/core/v1\n",
		"# k8s.io/api/core/v1\n", "types.go:1:2: syntax error\n", "unfinished",
	} {
		if n, err := m.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("Write gave %d, %v", n, err)
		}
	}
	if got, want := m.status(), "etcd: 1 modules downloaded, 2 packages, 0s"; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	if got, want := m.complaints(), "# k8s.io/api/core/v1\ntypes.go:1:2: syntax error\nunfinished"; got != want {
		t.Errorf("complaints %q, want %q", got, want)
	}
	for i := range 2 * complaintLines {
		fmt.Fprintf(m, "line %d: x\n", i)
	}
	if lines := strings.Count(m.complaints(), "\n"); lines >= complaintLines {
		t.Errorf("%d lines of complaints", lines)
	}
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path, func() { t.Error("waiting for a lock that is free") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockFile(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("the lock that is held gave %v", err)
	}
	told := false
	second, err := lockFile(t.Context(), path, func() { told = true; unlock() })
	if err != nil || !told {
		t.Fatalf("the lock that was released gave %v; told that it waits: %v", err, told)
	}
	second()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
