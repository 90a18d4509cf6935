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
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// entry is a file in an archive. Its name there has slashes.
type entry struct{ name, path string }

// entriesOf returns the files below a directory, sorted.
func entriesOf(directory string) (entries []entry, err error) {
	err = filepath.WalkDir(directory, func(path string, file fs.DirEntry, err error) error {
		if err != nil || file.IsDir() {
			return err
		}
		name, err := filepath.Rel(directory, path)
		entries = append(entries, entry{filepath.ToSlash(name), path})
		return err
	})
	return entries, err
}

// read returns the content of a file, and its mode without what a umask changes.
func (e entry) read() ([]byte, fs.FileMode, error) {
	info, err := os.Stat(e.path)
	if err != nil {
		return nil, 0, err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	content, err := os.ReadFile(e.path)
	return content, mode, err
}

// writeTar writes an archive that depends on the entries and the time alone: who owns the files, and when they were made, is left out.
func writeTar(to io.Writer, entries []entry, modified time.Time) error {
	archive := tar.NewWriter(to)
	for _, e := range entries {
		content, mode, err := e.read()
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: int64(mode), Size: int64(len(content)), ModTime: modified}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeTarball writes a compressed tar archive.
func writeTarball(path string, entries []entry, modified time.Time) error {
	return create(path, func(file io.Writer) error {
		compressed := gzip.NewWriter(file)
		return errors.Join(writeTar(compressed, entries, modified), compressed.Close())
	})
}

// writeZip writes a zip archive with the same content.
func writeZip(path string, entries []entry, modified time.Time) error {
	return create(path, func(file io.Writer) error {
		archive := zip.NewWriter(file)
		for _, e := range entries {
			content, mode, err := e.read()
			if err != nil {
				return err
			}
			header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: modified}
			header.SetMode(mode)
			writer, err := archive.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := writer.Write(content); err != nil {
				return err
			}
		}
		return archive.Close()
	})
}

// create makes a file, and removes it if its content cannot be written.
func create(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// copyFile copies a file.
func copyFile(from, to string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	err = create(to, func(copied io.Writer) error {
		_, err := io.Copy(copied, file)
		return err
	})
	return errors.Join(err, file.Close())
}
