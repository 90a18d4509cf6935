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

package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

const (
	// ControllerVariable chooses the controller under test: "builtin", or ours.
	ControllerVariable = "E2E_CONTROLLER"

	// startTimeout covers building all servers on a machine that has never done so.
	startTimeout = 30 * time.Minute
	// atOnce is how many tests run at the same time that share a controller. They mostly wait.
	atOnce = 12

	// The controller manager takes a node for lost nodeGrace after its last heartbeat. The lease of a kwok node is renewed
	// after a quarter of nodeLeaseSeconds; an API server that is away for a few seconds must not look like lost nodes.
	nodeLeaseSeconds = 8
	nodeGrace        = 14 * time.Second
)

// Suite is what the tests of one run share. Everything in it is made when the first test asks for it.
type Suite struct {
	controller results.Controller
	part       bool

	once    sync.Once
	cluster *cluster
	err     error

	sharedOnce sync.Once
	shared     *Controller
	sharedErr  error
}

// cluster is the running control plane.
type cluster struct {
	cp         *controlplane.ControlPlane
	client     kubernetes.Interface
	version    *utilversion.Version // of the program kube-apiserver
	kubernetes string               // what it says of its version
	binary     string               // of ours
	audit      *audit
}

// NewSuite returns the suite for the controller that the environment asks for.
func NewSuite() *Suite {
	s := &Suite{controller: results.Ours}
	if os.Getenv(ControllerVariable) == "builtin" {
		s.controller = results.Builtin
	}
	return s
}

// Part returns the suite, of which is known then that its tests are only a part of all: they need not use every permission.
func (s *Suite) Part() *Suite {
	s.part = true
	return s
}

// Main runs the tests and then ends what they shared. It returns the exit code.
func (s *Suite) Main(m *testing.M) int {
	flag.Parse()
	var chosen []string
	flag.Visit(func(f *flag.Flag) { chosen = append(chosen, f.Name) })
	if !slices.Contains(chosen, "test.parallel") {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := m.Run()
	err := s.stop()
	if code == 0 && s.whole() && s.cluster != nil {
		err = errors.Join(err, s.cluster.audit.compare(os.Stderr))
	}
	if s.cluster != nil {
		err = errors.Join(err, s.cluster.audit.remove())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// whole says whether all tests of all ran, and with ours: then every permission must have been of use.
func (s *Suite) whole() bool {
	chosen := false
	flag.Visit(func(f *flag.Flag) {
		chosen = chosen || f.Name == "test.run" || f.Name == "test.skip" || f.Name == "test.list"
	})
	return !chosen && !s.part && !s.Builtin()
}

// get starts the control plane at the first call.
func (s *Suite) get(t testing.TB) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a control plane, which takes more than a short time")
	}
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		s.cluster, s.err = s.start(ctx)
	})
	if s.err != nil {
		t.Fatalf("starting what the tests share: %v", s.err)
	}
	return s.cluster
}

func (s *Suite) start(ctx context.Context) (*cluster, error) {
	audit, err := newAudit()
	if err != nil {
		return nil, err
	}
	c := &cluster{audit: audit}
	err = c.start(ctx)
	if err == nil && s.controller == results.Ours {
		c.binary, err = launcher.Binary(ctx, c.cp.Dir(), buildFlags()...)
	}
	if err != nil {
		return nil, errors.Join(err, c.stop(), audit.remove())
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context) error {
	binaries, err := controlplane.Binaries(ctx, os.Stderr, controlplane.APIServer)
	if err != nil {
		return err
	}
	if c.version, err = controlplane.BinaryVersion(ctx, binaries[controlplane.APIServer]); err != nil {
		return err
	}
	args := c.audit.Args()
	for _, lack := range controlplane.Lacks(c.version) {
		args = append(args, lack.Args...)
	}
	c.cp, err = controlplane.Start(ctx, controlplane.Options{
		Progress:         os.Stderr,
		NodeLeaseSeconds: nodeLeaseSeconds,
		ExtraArgs: map[controlplane.Program][]string{
			controlplane.APIServer:         args,
			controlplane.ControllerManager: {"--node-monitor-period=1s", "--node-monitor-grace-period=" + nodeGrace.String()},
		},
	})
	if err != nil {
		return err
	}
	if c.client, err = c.cp.Client(); err != nil {
		return err
	}
	version, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("version of the API server: %w", err)
	}
	c.kubernetes = version.GitVersion
	if err := recordServer(ctx, c); err != nil {
		return err
	}
	// The node lifecycle controller takes back its taints when all nodes are lost, and is slow when most are.
	for _, name := range healthyNodes() {
		_, err := controlplane.CreateNode(ctx, c.client, name, func(node *corev1.Node) { node.Spec.Unschedulable = true })
		if err != nil {
			return err
		}
	}
	return controlplane.WaitForNodes(ctx, c.client, healthyNodes()...)
}

func healthyNodes() []string { return []string{"healthy-0", "healthy-1", "healthy-2", "healthy-3"} }

func (s *Suite) stop() error {
	if s.cluster == nil {
		return nil
	}
	var err error
	if s.shared != nil {
		err = s.shared.end()
	}
	return errors.Join(err, s.cluster.stop())
}

func (c *cluster) stop() error {
	if c.cp == nil {
		return nil
	}
	return errors.Join(c.cp.Crashed(), c.cp.Stop())
}

// Builtin says whether the built-in controller is under test.
func (s *Suite) Builtin() bool { return s.controller == results.Builtin }

// OursOnly skips the test for the built-in controller.
func (s *Suite) OursOnly(t testing.TB, why string) {
	t.Helper()
	if s.Builtin() {
		t.Skipf("not for the built-in controller: %s", why)
	}
}

// Alone returns a scene for a test that starts its own controllers. No test that shares one runs at the same time: those
// wait until all others are done.
func (s *Suite) Alone(t *testing.T) *Scene {
	t.Helper()
	c := s.get(t)
	if s.shared != nil {
		t.Fatalf("the shared controller runs already: a test with parallel subtests did not call Parallel itself")
	}
	if err := c.freeLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newScene(t, s, c)
}

// freeLease takes away the Lease of a controller that an earlier test has killed. Nobody holds it.
func (c *cluster) freeLease(ctx context.Context) error {
	err := c.client.CoordinationV1().Leases(launcher.Namespace).Delete(ctx, launcher.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taking away the Lease of an earlier test: %w", err)
	}
	return nil
}

// Shared returns a scene for a test whose controller others use too, at the same time.
func (s *Suite) Shared(t *testing.T) *Scene {
	t.Helper()
	c := s.get(t)
	t.Parallel()
	s.sharedOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if s.sharedErr = c.freeLease(ctx); s.sharedErr != nil {
			return
		}
		// The built-in one would wait for the end of the Lease of an earlier test's.
		s.shared, s.sharedErr = s.run(ctx, c, Options{Name: "shared", LeaderElect: !s.Builtin()})
	})
	if s.sharedErr != nil {
		t.Fatalf("starting the shared controller: %v", s.sharedErr)
	}
	scene := newScene(t, s, c)
	scene.Controller = s.shared
	t.Cleanup(func() { s.shared.report(t, scene.Namespace) })
	return scene
}
