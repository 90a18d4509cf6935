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

package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/template"
)

// section returns what the changelog says about a version. A heading has the form of https://keepachangelog.com: "## [0.1.0] - 2026-12-01".
func section(changelog, version string) (string, error) {
	number := strings.TrimPrefix(version, "v")
	heading := regexp.MustCompile(`^## \[` + regexp.QuoteMeta(number) + `\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	// The links of headings follow the last section.
	link := regexp.MustCompile(`^\[[^\]]+\]: `)
	found := false
	var lines []string
	for line := range strings.Lines(changelog) {
		line = strings.TrimRight(line, "\n")
		switch {
		case heading.MatchString(line):
			found = true
		case found && (strings.HasPrefix(line, "## ") || link.MatchString(line)):
			return strings.TrimSpace(strings.Join(lines, "\n")), nil
		case found:
			lines = append(lines, line)
		}
	}
	if !found {
		return "", fmt.Errorf("CHANGELOG.md has no section about %s: move what is below [Unreleased] under the heading ## [%s] - YYYY-MM-DD, or "+
			"name a version that has one, by make release VERSION=v…", version, number)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), nil
}

// relativeLink is a link of Markdown to a file of the repository.
var relativeLink = regexp.MustCompile(`\]\(([A-Za-z0-9_.][^():]*)\)`)

//go:embed notes.tmpl
var notesTemplate string

// releaseNotes writes the section of the changelog, with links that work elsewhere, and what the files are for.
func (r *release) releaseNotes(ctx context.Context) error {
	goVersion, err := command(ctx, r.root, pinned(), "go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	type image struct{ Name, Digest string }
	content := struct {
		Changes, Repository, Version, ChartVersion, Charts, Files, GoVersion string
		Images                                                               []image
	}{
		Changes:      relativeLink.ReplaceAllString(r.notes, "]("+repository+"/blob/"+r.version+"/$1)"),
		Repository:   repository,
		Version:      r.version,
		ChartVersion: r.chartVersion(),
		Charts:       r.charts,
		Files:        r.downloads + "/" + r.version,
		GoVersion:    strings.TrimSpace(goVersion),
	}
	for _, i := range r.images {
		content.Images = append(content.Images, image{i.image + ":" + r.version, i.digest})
	}
	parsed, err := template.New("notes").Parse(notesTemplate)
	if err != nil {
		return err
	}
	return create(r.path("RELEASE_NOTES.md"), func(file io.Writer) error { return parsed.Execute(file, content) })
}
