package launcher

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Overlay writes other contents for source files, by path, into a directory. It returns the flag of go build that takes them in
// place of the files.
func Overlay(dir string, contents map[string]string) (flag string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	replace := map[string]string{}
	for path, content := range contents {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(replace[path], []byte(content), 0o600); err != nil {
			return "", fmt.Errorf("overlay: %w", err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		return "", fmt.Errorf("overlay: %w", err)
	}
	return "-overlay=" + path, nil
}
