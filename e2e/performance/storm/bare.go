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
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
)

const (
	bareAccount = "bench-bare"
	// bareCommand, as the first argument, makes a process of this command the bare client.
	bareCommand = "bare-client"
)

// bareRules are what the calls need.
func bareRules() []rbacv1.PolicyRule {
	rule := func(resource, verb string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{verb}}
	}
	return []rbacv1.PolicyRule{
		rule("pods", "delete"), rule("pods/status", "patch"), rule("nodes", "get"), rule("events", "create"),
		rule("pods", "get"), rule("pods/eviction", "create"),
	}
}

// bareTask is the first line that the bare client reads. Each line after it is the name of a node that has the taint now.
type bareTask struct {
	Pods         []podRef
	Concurrency  int
	EventWriters int
	// Evict has it make the calls of mode Evict.
	Evict bool
}

// bareRunner is the bare client, in a process of its own as all contenders.
type bareRunner struct {
	server
	input *os.File
}

// startBare starts the bare client and tells it which pods there are.
func startBare(ctx context.Context, b *bench, pods []podRef, evict bool) (_ contestant, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bare client: %w", err)
	}
	stdin, input, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("bare client: %w", err)
	}
	process, err := b.cp.Run(ctx, controlplane.Spec{
		Name: bareCommand, Path: program, Args: []string{bareCommand, b.bareKubeconfig}, Stdin: stdin,
	})
	err = errors.Join(err, stdin.Close())
	if err != nil {
		return nil, errors.Join(err, input.Close())
	}
	bare := &bareRunner{server{process}, input}
	if err := json.NewEncoder(input).Encode(bareTask{pods, b.bareConcurrency, b.bareEventWriters, evict}); err != nil {
		return nil, errors.Join(fmt.Errorf("telling the bare client its pods: %w", err), bare.stop())
	}
	return bare, nil
}

// tainted tells it of a node. Where that fails, the process has ended, which is found out by failed.
func (b *bareRunner) tainted(node string) { _, _ = b.input.WriteString(strconv.Quote(node) + "\n") }

func (b *bareRunner) stop() error { return errors.Join(b.server.stop(), b.input.Close()) }
