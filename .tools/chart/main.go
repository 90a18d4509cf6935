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

// Chart packages the Helm chart of taint-manager, and pushes it as an OCI artifact. `make chart` and `make push` run it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// command holds the flags of one run.
type command struct {
	source source
	out    string
	// registry is the OCI repository below which the chart is pushed. Empty is not to push.
	registry string
}

func main() {
	log.SetFlags(0)
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatalf("chart: %v", err)
	}
}

func run(args []string, stdout io.Writer) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	p, err := build(c.source, c.out)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "Packaged %s (%d bytes, %s)\n", p.path, len(p.content), p.digest); err != nil {
		return err
	}
	if c.registry == "" {
		return nil
	}
	repository, digest, err := push(p, c.registry, c.source.created)
	if err != nil {
		return err
	}
	insecure := ""
	if isLoopback(repository) {
		insecure = " --plain-http"
	}
	// .github/workflows/release.yaml signs what the first line names.
	_, err = fmt.Fprintf(stdout, "Pushed oci://%s:%s@%s\nInstall it: helm install taint-manager oci://%s --version %s --namespace kube-system%s\n",
		repository, p.version, digest, repository, p.version, insecure)
	return err
}

func parse(args []string) (command, error) {
	var (
		c              command
		version, epoch string
	)
	flags := flag.NewFlagSet("chart", flag.ContinueOnError)
	flags.StringVar(&c.source.dir, "chart", "../../manifests/helm/taint-manager", "directory of the chart")
	flags.StringVar(&c.out, "out", "../../bin/chart", "directory to write to; what is in it is removed")
	flags.StringVar(&c.source.tag, "tag", "dev", "tag of the images that the chart deploys; if it is a version, such as v1 or v1.2.3, it is that of the chart")
	flags.StringVar(&version, "version", "v0.0.0-dev", "version of the chart if the tag is none")
	flags.StringVar(&c.source.image, "image", "ghcr.io/taint-manager/taint-manager", "image of the controller, without a tag")
	flags.StringVar(&c.source.pluginImage, "plugin-image", "ghcr.io/taint-manager/kubectl-taint-manager", "image of the plugin, without a tag")
	flags.StringVar(&epoch, "epoch", "0", "time of the files in the package, in seconds since 1970")
	flags.StringVar(&c.registry, "push", "", "OCI repository below which to push the chart, such as registry.example.com/charts")
	if err := flags.Parse(args); err != nil {
		return command{}, err
	}
	parsed, err := semver.NewVersion(c.source.tag)
	if err != nil {
		parsed, err = semver.NewVersion(version)
	}
	if err != nil {
		return command{}, fmt.Errorf("neither TAG, %q, nor VERSION, %q, is a semantic version, such as v1.2.3, which Helm needs: %w", c.source.tag, version, err)
	}
	c.source.version = parsed.String() // without a v
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return command{}, fmt.Errorf("the creation time %q is no number of seconds (set SOURCE_DATE_EPOCH to one): %w", epoch, err)
	}
	c.source.created = time.Unix(seconds, 0).UTC()
	c.registry = strings.TrimPrefix(c.registry, "oci://")
	return c, nil
}
