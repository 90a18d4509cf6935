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

// Image builds a container image of taint-manager or of its kubectl plugin for amd64 and arm64, from scratch, without a container
// engine and without a registry. `make image` and `make push` run it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// command holds the flags of one run.
type command struct {
	source source
	tag    name.Tag
	out    string
	push   bool
}

func main() {
	log.SetFlags(0)
	log.SetOutput(progress{os.Stderr})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatalf("image: %v", err)
	}
}

// progress passes on the log of ko, except for messages about git: ko reads its state for templates in flags, which we do
// not use.
type progress struct{ io.Writer }

func (p progress) Write(line []byte) (int, error) {
	if bytes.HasPrefix(line, []byte("git ")) || bytes.HasPrefix(line, []byte("current folder is not a git repository")) {
		return len(line), nil
	}
	return p.Writer.Write(line)
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	// An OCI layout keeps everything that was ever added, so remove what an earlier build left.
	if err := os.RemoveAll(c.out); err != nil {
		return fmt.Errorf("remove the previous build: %w", err)
	}
	sboms := filepath.Join(c.out, "sbom")
	index, err := build(ctx, c.source, sboms)
	if err != nil {
		return err
	}
	if err := correctSBOMs(sboms, c.source.version); err != nil {
		return err
	}
	images, err := imagesOf(index)
	if err != nil {
		return err
	}
	if err := checkSizes(c.source.program, images); err != nil {
		return err
	}
	if err := write(c.out, c.source.program, c.tag, index, images); err != nil {
		return err
	}
	if err := summarize(stdout, c, index, images); err != nil {
		return err
	}
	if !c.push {
		return nil
	}
	log.Printf("\nPushing %s", c.tag)
	pushed, err := push(ctx, c.tag, index)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "Pushed %s\n", pushed)
	return err
}

func parse(args []string) (command, error) {
	var (
		c           command
		holds       string
		image, tag  string
		sourceEpoch string
	)
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&c.source.root, "root", "../..", "directory of the module to build")
	flags.StringVar(&holds, "program", "taint-manager", "program in the image: taint-manager or kubectl-taint_manager")
	flags.StringVar(&c.source.version, "version", "v0.0.0-dev", "version, for the image's label")
	flags.StringVar(&c.source.revision, "revision", "unknown", "git commit, for the image's label")
	flags.StringVar(&c.source.ldflags, "ldflags", "", "flags for the linker")
	flags.StringVar(&c.source.gcflags, "gcflags", "", "flags for the compiler, for the packages of a pattern")
	flags.StringVar(&c.source.buildTags, "tags", "", "build tags")
	flags.StringVar(&sourceEpoch, "epoch", "0", "time of the image's creation, in seconds since 1970")
	flags.StringVar(&image, "image", "ghcr.io/taint-manager/taint-manager", "name of the image, without a tag")
	flags.StringVar(&tag, "tag", "dev", "tag of the image")
	flags.StringVar(&c.out, "out", "../../bin/image", "directory to write to; what is in it is removed")
	flags.BoolVar(&c.push, "push", false, "push the image to its registry")
	if err := flags.Parse(args); err != nil {
		return command{}, err
	}
	seconds, err := strconv.ParseInt(sourceEpoch, 10, 64)
	if err != nil {
		return command{}, fmt.Errorf("the creation time %q is no number of seconds (set SOURCE_DATE_EPOCH to one): %w", sourceEpoch, err)
	}
	c.source.created = time.Unix(seconds, 0).UTC()
	i := slices.IndexFunc(programs(), func(p program) bool { return p.name == holds })
	if i < 0 {
		return command{}, fmt.Errorf("there is no image of a program %q", holds)
	}
	c.source.program = programs()[i]
	// The repository and the tag are parsed separately, because "host:5000/x" is not a tag.
	repository, err := name.NewRepository(image)
	if err != nil {
		return command{}, fmt.Errorf("IMAGE must be an image's name without a tag: %w", err)
	}
	if c.tag, err = name.NewTag(repository.String() + ":" + tag); err != nil {
		return command{}, fmt.Errorf("TAG must be an image's tag: %w", err)
	}
	return c, nil
}
