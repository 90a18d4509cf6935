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

// Release makes all files of a release, without a network if the module cache has what the go.mod files name: the kubectl plugin for each platform
// with its krew manifest, the container images, the Helm chart, rendered manifests, SBOMs, release notes and checksums. The same commit and version of Go give the
// same files. `make release` runs it.
//
// # To add a file
//
// Add a step to steps. It writes to r.path(name), and returns an error that says what to do. What it writes must not depend on the clock, the
// environment, or the directory that it runs in; TestRelease makes everything twice and compares. SHA256SUMS lists whatever is there at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

// name of the program, its image and its chart. The plugin's names begin with plugin, its name for kubectl is the same.
const (
	name       = "taint-manager"
	plugin     = "kubectl-taint_manager"
	repository = "https://github.com/taint-manager/taint-manager"
)

// release holds the flags of one run, and what its steps tell each other.
type release struct {
	root, out string
	// version has a v in front. The tag of git, of the image and of the download page are the same.
	version  string
	revision string
	created  time.Time
	// buildTags, gcflags and ldflags are those of `make build`.
	buildTags, gcflags, ldflags string
	// image and pluginImage have no tag.
	image, pluginImage string
	// charts is the OCI repository below which the chart is pushed. downloads is the URL of a directory that has one with the files of each version.
	charts, downloads string
	allowDirty        bool

	progress io.Writer
	// temporary is a directory for the run.
	temporary string
	// notes is the section of the changelog.
	notes string
	// archives are those of the plugin.
	archives []archive
	images   []containerImage
}

// usageError is an error in what the caller asked for.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usageError{}):
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func parse(args []string) (*release, error) {
	r := &release{}
	var epoch string
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.root, "root", "../..", "directory of the repository")
	flags.StringVar(&r.out, "out", "../../bin/release", "directory to write to; what is in it is removed")
	flags.StringVar(&r.version, "version", "", "version to release, such as v0.1.0")
	flags.StringVar(&r.revision, "revision", "unknown", "git commit, for the image's label")
	flags.StringVar(&epoch, "epoch", "0", "time of everything that has one, in seconds since 1970")
	flags.StringVar(&r.buildTags, "tags", "", "build tags")
	flags.StringVar(&r.gcflags, "gcflags", "", "flags for the compiler, for the packages of a pattern")
	flags.StringVar(&r.ldflags, "ldflags", "", "flags for the linker")
	flags.StringVar(&r.image, "image", "ghcr.io/taint-manager/taint-manager", "name of the image, without a tag")
	flags.StringVar(&r.pluginImage, "plugin-image", "ghcr.io/taint-manager/kubectl-taint-manager", "name of the image of the plugin, without a tag")
	flags.StringVar(&r.charts, "charts", "ghcr.io/taint-manager/charts", "OCI repository below which the chart will be, for the notes")
	flags.StringVar(&r.downloads, "downloads", repository+"/releases/download", "URL of the directory that has the files of each version in one of its own")
	flags.BoolVar(&r.allowDirty, "allow-dirty", false, "release files that are not committed, to try a release out")
	if err := flags.Parse(args); err != nil {
		return nil, usageError{err}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return nil, usageError{fmt.Errorf("the time %q is no number of seconds: set SOURCE_DATE_EPOCH to one", epoch)}
	}
	r.created = time.Unix(seconds, 0).UTC()
	for _, directory := range []*string{&r.root, &r.out} {
		if *directory, err = filepath.Abs(*directory); err != nil {
			return nil, fmt.Errorf("find %s: %w", *directory, err)
		}
	}
	return r, nil
}

// step makes some files of a release.
type step struct {
	what string
	make func(context.Context) error
}

// steps returns what a release consists of. A step may need what the ones before it have made.
func (r *release) steps() []step {
	return []step{
		{"the man pages and completion of the kubectl plugin", r.pluginDocuments},
		{"the kubectl plugin for each platform", r.plugins},
		{"the krew manifest", r.krewManifest},
		{"the container images", r.containerImages},
		{"the Helm chart", r.chart},
		{"the rendered manifests", r.manifests},
		{"the release notes", r.releaseNotes},
		{"the checksums", r.checksums},
	}
}

func run(ctx context.Context, args []string, progress io.Writer) (err error) {
	r, err := parse(args)
	if err != nil {
		return err
	}
	r.progress = progress
	if err := r.check(ctx); err != nil {
		return err
	}
	if r.temporary, err = os.MkdirTemp("", "taint-manager-release-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.temporary)) }()
	if err := os.RemoveAll(r.out); err != nil {
		return fmt.Errorf("remove the previous release: %w", err)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("make the directory of the release: %w", err)
	}
	began := time.Now()
	steps := r.steps()
	for i, step := range steps {
		fmt.Fprintf(progress, "[%d/%d] %s\n", i+1, len(steps), step.what)
		if err := step.make(ctx); err != nil {
			return fmt.Errorf("make %s: %w", step.what, err)
		}
	}
	return r.summarize(time.Since(began))
}

// epoch returns the time of the release, in seconds since 1970.
func (r *release) epoch() string { return strconv.FormatInt(r.created.Unix(), 10) }

// path returns the path of a file of the release.
func (r *release) path(file string) string { return filepath.Join(r.out, file) }

// file returns the name of a file that is made for one platform.
func (r *release) file(what, platform, extension string) string {
	return fmt.Sprintf("%s-%s-%s%s", what, r.version, platform, extension)
}
