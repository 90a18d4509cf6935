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
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// painted writes a line in two colours, and another one some time later.
const painted = `printf '\033[31mred\033[0m  <plain>\n'; sleep 0.2; printf '\033[1;7mlast\033[0m'`

func TestAnimation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "svg")
	if err := run([]string{"--columns=20", "--rows=2", "--pause=100ms", "--svg=" + path, "--", "/bin/sh", "-c", painted}, io.Discard); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for err == nil {
		_, err = decoder.Token()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("not XML: %v", err)
	}
	for _, want := range []string{
		`viewBox="0 0 184 60"`,
		// The first line is drawn once, and used in both pictures; the second picture is below the first one.
		`<g id="l0"><text x="0" y="13" textLength="24" style="fill:#ff7b72">red</text><text x="40" y="13" textLength="56">&lt;plain&gt;</text></g>`,
		`<use href="#l0" x="12" y="12"/><rect x="12" y="30"`,
		`<use href="#l0" x="12" y="72"/><use href="#l1" x="12" y="90"/>`,
		`font-weight="bold">last</text>`,
		// It stays for a tenth of a second, and the last one for six seconds.
		`@keyframes play{0.000%{transform:translateY(-0px)}1.639%{transform:translateY(-60px)}}`,
		`animation:play 6.1s step-end infinite`,
	} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("there is no %s in\n%s", want, svg)
		}
	}
}
