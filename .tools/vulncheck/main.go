// Vulncheck runs govulncheck, with its arguments. Where its database cannot be reached it says so, and is no failure:
// one can work on the repository without the Internet. All else that goes wrong is one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"time"
)

// patience is for the first answer of the database.
const patience = 15 * time.Second

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("vulncheck", flag.ContinueOnError)
	database := flags.String("db", "https://vuln.go.dev", "URL of the database of vulnerabilities")
	dir := flags.String("C", ".", "directory of the module to check")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := reach(ctx, *database); errors.Is(err, errUnreachable) {
		_, err := fmt.Fprintf(out, "Skipped the check for known vulnerabilities: %v.\n", err)
		return err
	} else if err != nil {
		return err
	}
	// What govulncheck finds it prints, with the way that leads from our code to it. It is run as a program, not called as a
	// library: when the library panics, its caller may see success.
	command := exec.CommandContext(ctx, "go", append([]string{"tool", "govulncheck", "-C", *dir, "-db", *database}, flags.Args()...)...)
	command.Stdout, command.Stderr = out, out
	if err := command.Run(); err != nil {
		return fmt.Errorf("govulncheck: %w", err)
	}
	return nil
}

var errUnreachable = errors.New("its database cannot be reached")

// reach asks the database for its index. That no answer comes is errUnreachable; a place that is no database is another
// error, for govulncheck takes a directory that holds nothing for a database of no vulnerabilities.
func reach(ctx context.Context, database string) error {
	index, err := url.Parse(database)
	if err != nil {
		return fmt.Errorf("the database's URL (set VULNDB): %w", err)
	}
	index = index.JoinPath("index", "db.json")
	switch index.Scheme {
	case "file":
		if _, err := os.Stat(index.Path); err != nil {
			return fmt.Errorf("no database in Go's format (set VULNDB): %w", err)
		}
		return nil
	case "http", "https":
	default:
		return fmt.Errorf("the database's URL %q is none of file, http and https (set VULNDB)", database)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, index.String(), nil)
	if err != nil {
		return fmt.Errorf("the database's URL (set VULNDB): %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w (%w)", errUnreachable, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("no database in Go's format (set VULNDB): %s answers %s", index, response.Status)
	}
	return nil
}
