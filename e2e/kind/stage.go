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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

// walkthroughTest is the test that has a cluster for itself: it begins without taint-manager, and ends so.
const walkthroughTest = "TestWalkthrough"

// stage is a cluster and the tests that run on it.
type stage struct {
	*run
	cluster     nodes.Cluster
	config      string                 // of kind
	has         func(test string) bool // says whether a test belongs to it
	choice      []string               // flags of go test for these tests
	before      []step                 // what comes before the cluster
	after       []step                 // what makes it ready for the tests
	clean       func(context.Context) error
	kubeconfig  string
	environment []string // of the tests
	created     bool     // there may be a cluster
}

// stages returns the clusters that there may be in the order in which they have their turn.
func (r *run) stages() []*stage {
	deployed := r.newStage(clusterName, "manifests/kind/cluster.yaml")
	deployed.has = func(test string) bool { return test != walkthroughTest }
	deployed.choice = []string{"-skip", "^" + walkthroughTest + "$"}
	if pattern := os.Getenv("RUN"); pattern != "" {
		deployed.choice = append(deployed.choice, "-run", pattern)
	}
	deployed.before = []step{{"build the image", r.buildImage}}
	deployed.after = []step{
		{"load the image", deployed.loadImage},
		{"deploy manifests/crd and manifests/overlays/kind", deployed.deploy},
	}

	walkthrough := r.newStage(clusterName+"-walkthrough", "e2e/kind/walkthrough.yaml")
	walkthrough.has = func(test string) bool { return test == walkthroughTest }
	walkthrough.choice = []string{"-run", "^" + walkthroughTest + "$"}
	walkthrough.before = []step{{"build Helm and a registry (tools of .tools/chart and e2e/kind/tools)", walkthrough.buildTools}}
	walkthrough.after = []step{{"serve a registry to this machine and to the nodes", walkthrough.serveRegistry}}
	walkthrough.clean = walkthrough.removeRegistry
	return []*stage{deployed, walkthrough}
}

func (r *run) newStage(cluster, config string) *stage {
	return &stage{run: r, cluster: nodes.Cluster{Name: cluster}, config: config, kubeconfig: filepath.Join(r.temporary, cluster+".kubeconfig")}
}

// logs is the directory of what explains a failure.
func (s *stage) logs() string { return filepath.Join(logsDirectory, s.cluster.Name) }

// execute makes the cluster, runs the tests, and deletes it.
func (s *stage) execute(ctx context.Context) error {
	steps := slices.Concat(s.before, []step{
		{"create the cluster " + s.cluster.Name, s.create},
		{"load the image of the test pods", s.loadWorkload},
		{"connect the pods of all nodes", s.connectPods},
	}, s.after, []step{{"run the tests", s.test}})
	err := s.do(ctx, steps...)
	interrupted := ctx.Err() != nil
	// From here on a Ctrl-C changes nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if !s.created {
		return err
	}
	s.noteUsages(ctx)
	if err != nil && !interrupted {
		s.exportLogs(ctx)
	}
	if s.keep {
		s.sayHowToUse()
		return err
	}
	if s.clean != nil {
		err = errors.Join(err, s.clean(ctx))
	}
	return errors.Join(err, s.do(ctx, step{"delete the cluster " + s.cluster.Name, s.delete}))
}

// noteUsages keeps for the summary what our pods use.
func (s *stage) noteUsages(ctx context.Context) {
	usages, err := s.cluster.Usages(ctx, "kube-system", selector)
	if err != nil {
		s.results.usages = append(s.results.usages, fmt.Sprintf("our pods: %v", err))
	}
	for _, usage := range usages {
		s.results.usages = append(s.results.usages, usage.String())
	}
}

func (s *stage) sayHowToUse() {
	fmt.Printf("\nThe cluster %s is kept. To use it:\n", s.cluster.Name)
	fmt.Printf("    export KUBECONFIG=%s\n", s.kubeconfig)
	fmt.Printf("To run a test on it:\n")
	environment := append([]string{clusterVariable + "=" + s.cluster.Name, kubeconfigVariable + "=" + s.kubeconfig}, s.environment...)
	fmt.Printf("    %s go test -race -count=1 -tags kind -v %s -run NAME\n", strings.Join(environment, " "), suitePackage)
	fmt.Printf("To delete it:\n    bin/kind delete cluster --name %s\n", s.cluster.Name)
	if s.clean != nil {
		fmt.Printf("    docker rm --force --volumes %s\n", s.registryName())
	}
}
