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
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// sumsFile has the form of sha256sum.
const sumsFile = "SHA256SUMS"

// checksums writes the digest of each file that the release has.
func (r *release) checksums(context.Context) error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, file := range files {
		sum, err := digest(r.path(file.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, file.Name())
	}
	return os.WriteFile(r.path(sumsFile), []byte(sums.String()), 0o644)
}

// digest returns the SHA-256 of a file, in hexadecimal.
func digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// summarize says what was made.
func (r *release) summarize(took time.Duration) error {
	sums, err := os.ReadFile(r.path(sumsFile))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.progress, "\n%s\nMade %s in %s: %d files, and %s.\n", sums, r.version, took.Round(time.Second),
		strings.Count(string(sums), "\n"), sumsFile)
	return err
}
