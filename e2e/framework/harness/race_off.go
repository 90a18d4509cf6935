//go:build !race

package harness

// buildFlags build the binary as the tests are built: with the race detector, or without.
func buildFlags() []string { return nil }
