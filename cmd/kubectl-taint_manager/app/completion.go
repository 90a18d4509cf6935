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
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
)

// completionTimeout is for how long a shell waits.
const completionTimeout = 3 * time.Second

// maxCompletions is how many names are offered.
const maxCompletions = 500

// completer completes an argument or a flag.
type completer = func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective)

func (c *Common) addCompletions(cmd *cobra.Command) {
	for flag, complete := range map[string]completer{
		"namespace": c.completeNames(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, false),
		"output":    cobra.FixedCompletions(c.Output.formats(), cobra.ShellCompDirectiveNoFileComp),
		"context":   c.completeContexts,
	} {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // there is no such flag: a bug
		}
	}
}

// completeNodes and completePods complete names of such objects.
func (c *Common) completeNodes() completer {
	return c.completeNames(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, false)
}

func (c *Common) completePods() completer {
	return c.completeNames(schema.GroupVersionResource{Version: "v1", Resource: "pods"}, true)
}

func (c *Common) completeNames(resource schema.GroupVersionResource, namespaced bool) completer {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		names, err := c.names(ctx, resource, namespaced)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // a shell has no place for an error
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, begin) || slices.Contains(args, name) })
		return names[:min(len(names), maxCompletions)], cobra.ShellCompDirectiveNoFileComp
	}
}

func (c *Common) names(ctx context.Context, resource schema.GroupVersionResource, namespaced bool) ([]string, error) {
	config, err := c.restConfig()
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	var objects metadata.ResourceInterface = client.Resource(resource)
	if namespaced {
		namespace, err := c.namespace()
		if err != nil {
			return nil, err
		}
		objects = client.Resource(resource).Namespace(namespace)
	}
	list, err := objects.List(ctx, metav1.ListOptions{Limit: 5000})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

func (c *Common) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	config, err := c.ConfigFlags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for name := range config.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}
