//go:build kind

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

package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

const (
	builtinName = "taint-eviction-controller"
	managerName = "kube-controller-manager"
	manifest    = "/etc/kubernetes/manifests/" + managerName + ".yaml"

	// documentVariable names the document that tells operators how to switch the built-in controller off and on.
	documentVariable = "TAKEOVER_DOC"
	defaultDocument  = "../../../manifests/README.md"

	// switching is how long the kubelet may take to run another kube-controller-manager and that one to lead: it waits for
	// the end of the Lease of the one before.
	switching = 2 * time.Minute
)

// commands are those of the document between the comments "<!-- name: begin -->" and "<!-- name: end -->": they are tested
// as operators read them.
func commands(name string) (string, error) {
	document := os.Getenv(documentVariable)
	if document == "" {
		document = defaultDocument
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return "", err
	}
	_, rest, begins := strings.Cut(string(text), "<!-- "+name+": begin -->\n")
	block, _, ends := strings.Cut(rest, "<!-- "+name+": end -->")
	if !begins || !ends {
		return "", fmt.Errorf("%s has no commands between <!-- %s: begin --> and <!-- %s: end -->", document, name, name)
	}
	return regexp.MustCompile("(?m)^```.*$").ReplaceAllString(block, ""), nil
}

// switchBuiltin runs the document's commands as root on the control-plane node.
func switchBuiltin(ctx context.Context, on bool) error {
	name := "switch-off"
	if on {
		name = "switch-on"
	}
	script, err := commands(name)
	if err != nil {
		return err
	}
	_, err = cluster.Script(ctx, cluster.ControlPlane(), script)
	return err
}

// controllerManager is one process of it: who it is by its Lease, and whether it runs the built-in controller.
type controllerManager struct {
	identity string
	builtin  bool
}

// currentManager is the kube-controller-manager that leads, once it has said in its log whether it runs the built-in
// controller.
func currentManager(ctx context.Context) (m controllerManager, err error) {
	lease, err := client.CoordinationV1().Leases(metav1.NamespaceSystem).Get(ctx, managerName, metav1.GetOptions{})
	if err != nil {
		return m, err
	}
	m.identity = ptr.Deref(lease.Spec.HolderIdentity, "")
	pods := client.CoreV1().Pods(metav1.NamespaceSystem)
	log, err := pods.GetLogs(managerName+"-"+cluster.ControlPlane(), &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, `controller="`+builtinName+`"`) {
			continue
		}
		switch {
		case strings.Contains(line, "controller is disabled"):
			return m, nil
		case strings.Contains(line, `"Starting"`):
			m.builtin = true
			return m, nil
		}
	}
	return m, errors.New("the log of the " + managerName + " does not say yet whether the built-in controller runs")
}

// switchTo switches the built-in controller on or off and waits until another kube-controller-manager leads, which runs
// it or not.
func (s *scene) switchTo(on bool) {
	s.Helper()
	s.switchBy(on, func() { s.must(switchBuiltin(s.Context(), on)) })
}

// switchBy is switchTo by another way.
func (s *scene) switchBy(on bool, do func()) {
	s.Helper()
	old, err := currentManager(s.Context())
	s.must(err)
	const off = ",-" + builtinName
	want := strings.ReplaceAll(s.controllers(), off, "")
	if !on {
		want += off
	}
	began := time.Now()
	do()
	s.awaitManager(old, on)
	s.Logf("built-in controller on: %t, %s after the commands began", on, timing.Round(time.Since(began)))
	s.checkConfiguration(want)
}

// controllers is the value of the flag in the manifest, which kubeadm sets.
func (s *scene) controllers() string {
	s.Helper()
	for _, line := range s.manifest() {
		if value, found := strings.CutPrefix(line, "- --controllers="); found {
			return value
		}
	}
	s.Fatalf("%s has no --controllers", manifest)
	return ""
}

func (s *scene) awaitManager(old controllerManager, on bool) {
	s.Helper()
	s.eventually("another "+managerName, switching, func(ctx context.Context) error {
		m, err := currentManager(ctx)
		if err == nil && (m.identity == old.identity || m.builtin != on) {
			err = fmt.Errorf("%s leads, with the built-in controller on: %t", m.identity, m.builtin)
		}
		return err
	})
}

// checkConfiguration checks that the manifest has the controllers that it should, and that kubeadm's configuration, of which the next
// upgrade makes manifests, says the same.
func (s *scene) checkConfiguration(want string) {
	s.Helper()
	if lines := s.manifest(); !slices.Contains(lines, "- --controllers="+want) {
		s.Errorf("%s has no --controllers=%s:\n%s", manifest, want, strings.Join(lines, "\n"))
	}
	config, err := client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(s.Context(), "kubeadm-config", metav1.GetOptions{})
	s.must(err)
	pattern := `\n  - name: controllers\n    value: ['"]?` + regexp.QuoteMeta(want) + `['"]?\n`
	if text := config.Data["ClusterConfiguration"]; !regexp.MustCompile(pattern).MatchString(text) {
		s.Errorf("the ConfigMap kubeadm-config does not set controllers to %s:\n%s", want, text)
	}
}

// manifest is the static pod of the kube-controller-manager, its lines sorted, because the order of flags means nothing.
func (s *scene) manifest() []string {
	s.Helper()
	text, err := cluster.Exec(s.Context(), cluster.ControlPlane(), "cat", manifest)
	s.must(err)
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	slices.Sort(lines)
	return lines
}

// restoreBuiltin switches it off and deploys us, whatever the test has left.
func (s *scene) restoreBuiltin() {
	s.restore()
	ctx, cancel := context.WithTimeout(context.Background(), 2*switching)
	defer cancel()
	var m controllerManager
	err := poll(ctx, switching, func(ctx context.Context) (err error) {
		m, err = currentManager(ctx)
		return err
	})
	if err == nil && m.builtin {
		err = switchBuiltin(ctx, false)
		if err == nil {
			err = poll(ctx, switching, func(ctx context.Context) error {
				next, err := currentManager(ctx)
				if err == nil && next.builtin {
					err = errors.New("the built-in controller is still on")
				}
				return err
			})
		}
	}
	if err != nil {
		s.Errorf("restoring: %v", err)
	}
}
