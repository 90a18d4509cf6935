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
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/text"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// Common is what all verbs have.
type Common struct {
	genericiooptions.IOStreams
	// ConfigFlags say which cluster and namespace.
	ConfigFlags *genericclioptions.ConfigFlags
	// Output says how results are printed.
	Output Output
	// Manager says what has to be known of the controller that the API does not show.
	Manager Manager
}

// The names of the controller's Lease and ConfigMap, as the manifests have them.
const (
	defaultLease     = "taint-manager"
	defaultConfigMap = "taint-manager-starts"
)

// Manager describes the controller.
type Manager struct {
	// Namespace and ConfigMap are where it keeps starts of taints. Lease is the name of its Lease there.
	Namespace, ConfigMap, Lease string
	// EvictFinished and ComparisonOperators are its flags that change decisions.
	EvictFinished, ComparisonOperators bool
}

// NewCommon returns the defaults.
func NewCommon(streams genericiooptions.IOStreams) *Common {
	return &Common{
		IOStreams:   streams,
		ConfigFlags: genericclioptions.NewConfigFlags(true).WithWarningPrinter(streams),
		Manager:     Manager{Namespace: metav1.NamespaceSystem, ConfigMap: defaultConfigMap, Lease: defaultLease},
	}
}

// addFlags adds the flags that all verbs have.
func (c *Common) addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	c.ConfigFlags.AddFlags(flags)
	c.Output.addFlags(flags)
	flags.StringVar(&c.Manager.Namespace, "manager-namespace", c.Manager.Namespace, "Namespace in which taint-manager runs: that of its Lease and of its ConfigMap.")
	flags.StringVar(&c.Manager.ConfigMap, "taint-start-configmap", c.Manager.ConfigMap, "Name of the ConfigMap in which taint-manager keeps starts of taints. Empty if it has none.")
	flags.StringVar(&c.Manager.Lease, "manager-lease", c.Manager.Lease, "Name of the Lease of taint-manager.")
	flags.BoolVar(&c.Manager.EvictFinished, "evict-finished-pods", false, "Say that taint-manager runs with this flag: finished pods go as well.")
	flags.BoolVar(&c.Manager.ComparisonOperators, "toleration-comparison-operators", false,
		"Say that taint-manager runs with the feature gate TaintTolerationComparisonOperators: tolerations with Gt and Lt count.")
	c.addCompletions(cmd)
}

// restConfig returns how to reach the API server.
func (c *Common) restConfig() (*rest.Config, error) {
	config, err := c.ConfigFlags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	return config, nil
}

// namespace returns the namespace that the user means.
func (c *Common) namespace() (string, error) {
	namespace, _, err := c.ConfigFlags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	return namespace, nil
}

// reader returns a reader of snapshots, which says what it does when that takes more than a second. done must be called when all is read.
func (c *Common) reader() (reader *snapshot.Reader, done func(), err error) {
	config, err := c.restConfig()
	if err != nil {
		return nil, nil, err
	}
	if reader, err = snapshot.NewReader(config); err != nil {
		return nil, nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	reader.Starts = types.NamespacedName{Namespace: c.Manager.Namespace, Name: c.Manager.ConfigMap}
	reader.Choices = deadline.Rules{EvictFinished: c.Manager.EvictFinished, ComparisonOperators: c.Manager.ComparisonOperators}
	progress := &progress{out: c.ErrOut, terminal: isTerminal(c.ErrOut), began: time.Now()}
	reader.Progress = progress.show
	return reader, progress.done, nil
}

// printer returns how text is printed.
func (c *Common) printer() *text.Printer {
	p := &text.Printer{Out: c.Out, Wide: c.Output.Format == "wide", NoHeaders: c.Output.NoHeaders}
	if file, ok := c.Out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			p.Width = width
		}
	}
	return p
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
