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

package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

const resumeLong = `End a pause, so that evictions go on. Pods that are due by then go at once, unless the eviction
brake holds them.

A pause that somebody else made is not ended without --overwrite. One with --for ends by itself.

What it holds is counted before, for up to 5 s: more pods than can be read in that time are not counted. --dry-run=client counts without
a limit.`

type resume struct{ pauseFlags }

func newResumeCommand(common *Common) *cobra.Command {
	return (&resume{pauseFlags{Common: common}}).command()
}

func (o *resume) command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume", Short: "End a pause, so that evictions go on", Long: resumeLong + exitCodes,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("resume takes no arguments: name another pause than %q with --name", defaultPause)
			}
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.addFlags(cmd, "End a pause that somebody else made.")
	return cmd
}

func (o *resume) run(ctx context.Context) error {
	reader, done, err := o.reader()
	if err != nil {
		return err
	}
	defer done()
	result, err := o.by(ctx, reader)
	if err != nil {
		return err
	}
	done()
	return o.print(result, func(p *text.Printer) { printPause(p, result) })
}

// by does it with the clients of a reader.
func (o *resume) by(ctx context.Context, reader *snapshot.Reader) (*explain.PauseResult, error) {
	w, err := newPauseWriter(ctx, &o.pauseFlags, reader)
	if err != nil {
		return nil, err
	}
	if w.before == nil {
		if others := w.others(); len(others) > 0 {
			return nil, fmt.Errorf("there is no policy %s; pauses that are on: %s; end one with --name", o.name, strings.Join(others, ", "))
		}
		return nil, fmt.Errorf("there is no policy %s: nothing is paused by it", o.name)
	}
	return w.end(ctx)
}
