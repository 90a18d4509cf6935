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

// Package results hands what the tests of the comparison table saw to the program that prints the table.
//
// A test appends one line of JSON for each run to the file that the environment variable E2E_RECORD names; without it,
// nothing is kept. Lines are appended in one write each, so that several processes may share a file.
package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Variable is the environment variable with the path of the file.
const Variable = "E2E_RECORD"

// Controller says which controller was measured.
type Controller string

// The two that are compared.
const (
	Ours    Controller = "taint-manager"
	Builtin Controller = "built-in"
)

// Row is a row of the comparison table.
type Row string

// The rows, as the table words them.
const (
	Recalculated   Row = "`tolerationSeconds` changed while counting"
	SecondTaint    Row = "a second taint that should evict sooner"
	TaintRemoved   Row = "the taint that would evict is removed, one tolerated for longer stays"
	TimeAdded      Row = "`timeAdded` of a taint"
	Restarted      Row = "restarted during a countdown"
	APIServerAway  Row = "API server away for some seconds as 100 evictions fall due"
	DeleteDenied   Row = "an admission policy denies the delete for 6 s"
	NodesBehind    Row = "nodes watch 5 s behind, pod bound just after the taint went"
	LeaderStopped  Row = "leader stopped with SIGTERM, standby takes over"
	Overflow       Row = "`tolerationSeconds: 18446744074`"
	LeftAlone      Row = "finished pods, mirror pods"
	EventContent   Row = "event on the pod"
	EventStorm     Row = "events of 1,000 evictions at once"
	NodeDeleted    Row = "the node is deleted during a countdown"
	NodeController Row = "kube-controller-manager restarted during the countdown of a node that it tainted"
	NothingElse    Row = "run without another controller that indexes pods by node"
)

// Rows are all rows in the order of the table.
func Rows() []Row {
	return []Row{
		Recalculated, SecondTaint, TaintRemoved, TimeAdded, Restarted, APIServerAway, DeleteDenied, NodesBehind,
		LeaderStopped, Overflow, LeftAlone, EventContent, EventStorm, NodeDeleted, NodeController,
		NothingElse,
	}
}

// Result is what one run of a row's test saw.
type Result struct {
	Row        Row        `json:"row"`
	Controller Controller `json:"controller"`
	// Kubernetes is the version of the API server.
	Kubernetes string `json:"kubernetes"`
	// Seen is what was observed, in a few words.
	Seen string `json:"seen"`
	// Right says whether that is what the rules ask for.
	Right bool `json:"right"`
}

// ServerVariable is the environment variable with the path of the file that a Server is appended to.
const ServerVariable = "E2E_SERVER"

// Server is the API server of a run.
type Server struct {
	Kubernetes string `json:"kubernetes"`
	// StreamingLists says whether it offers lists that are streamed by a watch.
	StreamingLists bool `json:"streamingLists"`
}

// Append adds a result to the file that the environment names, if it names one.
func Append(result Result) error { return appendTo(Variable, result) }

// AppendServer adds the API server of a run to the file that the environment names, if it names one.
func AppendServer(server Server) error { return appendTo(ServerVariable, server) }

func appendTo(variable string, value any) error {
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding a result: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		_ = file.Close()
		return fmt.Errorf("%s: %w", variable, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	return nil
}

// Read returns the results in a file, in the order in which they were appended.
func Read(path string) ([]Result, error) { return read[Result](path) }

// ReadServers returns the API servers in a file.
func ReadServers(path string) ([]Server, error) { return read[Server](path) }

func read[T any](path string) ([]T, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	var all []T
	for line := range bytes.Lines(data) {
		var one T
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("reading results: %s: %w", path, err)
		}
		all = append(all, one)
	}
	return all, nil
}
