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
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// completionTimeout is for how long a shell waits. What has been read by then is offered.
const completionTimeout = 3 * time.Second

// maxCompletions is how many names are offered.
const maxCompletions = 500

// completer completes an argument or a flag.
type completer = func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective)

// addCompletions completes the flags that all verbs have.
func (c *Common) addCompletions(cmd *cobra.Command) {
	namespaces := c.completeNames(v1.SchemeGroupVersion.WithResource("namespaces"), false)
	completeFlags(cmd, map[string]completer{
		"namespace":             namespaces,
		"manager-namespace":     namespaces,
		"output":                cobra.FixedCompletions(c.Output.formats(), cobra.ShellCompDirectiveNoFileComp),
		"context":               c.completeConfig(func(config *api.Config) []string { return keys(config.Contexts) }),
		"cluster":               c.completeConfig(func(config *api.Config) []string { return keys(config.Clusters) }),
		"user":                  c.completeConfig(func(config *api.Config) []string { return keys(config.AuthInfos) }),
		"manager-lease":         cobra.NoFileCompletions,
		"taint-start-configmap": cobra.NoFileCompletions,
	})
}

// completeFlags says how flags are completed. Without it, a shell offers the names of files.
func completeFlags(cmd *cobra.Command, flags map[string]completer) {
	for flag, complete := range flags {
		if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // there is no such flag: a bug
		}
	}
}

// offer returns how a shell completes: with what candidates returns, as far as it begins with what has been typed. A shell has no place for an
// error: it is in cobra's debug log ($BASH_COMP_DEBUG_FILE).
func offer(candidates func(ctx context.Context, cmd *cobra.Command, args []string, begin string) ([]string, error)) completer {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		names, err := candidates(ctx, cmd, args, begin)
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, begin) })
		slices.Sort(names)
		names = slices.Compact(names)
		return names[:min(len(names), maxCompletions)], cobra.ShellCompDirectiveNoFileComp
	}
}

// completeNodes completes names of nodes, each once.
func (c *Common) completeNodes() completer {
	return c.completeNames(v1.SchemeGroupVersion.WithResource("nodes"), false)
}

// completePod completes the name of one pod.
func (c *Common) completePod() completer {
	pods := c.completeNames(v1.SchemeGroupVersion.WithResource("pods"), true)
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return pods(cmd, args, begin)
	}
}

// completeNames completes names of objects, but for those that have been given.
func (c *Common) completeNames(resource schema.GroupVersionResource, namespaced bool) completer {
	return offer(func(ctx context.Context, _ *cobra.Command, args []string, _ string) ([]string, error) {
		names, err := c.names(ctx, resource, namespaced)
		return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), err
	})
}

// names returns the names of objects. With an error it returns those that were read before.
func (c *Common) names(ctx context.Context, resource schema.GroupVersionResource, namespaced bool) ([]string, error) {
	reader, err := c.quietReader()
	if err != nil {
		return nil, err
	}
	var objects metadata.ResourceInterface = reader.Metadata.Resource(resource)
	if namespaced {
		namespace, err := c.namespace()
		if err != nil {
			return nil, err
		}
		objects = reader.Metadata.Resource(resource).Namespace(namespace)
	}
	name := func(object *metav1.PartialObjectMetadata) (string, bool) { return object.Name, true }
	return snapshot.List(ctx, reader, resource.Resource, metav1.ListOptions{}, objects.List, name)
}

// completePauses completes names of policies that are pauses: pause and resume refuse any other.
func (c *Common) completePauses() completer {
	return offer(func(ctx context.Context, _ *cobra.Command, _ []string, _ string) ([]string, error) {
		reader, err := c.quietReader()
		if err != nil {
			return nil, err
		}
		policies, err := listedPolicies(ctx, reader)
		var names []string
		for _, policy := range policies {
			if _, is := explain.PauseOf(policy); is {
				names = append(names, policy.Name)
			}
		}
		return names, err
	})
}

// completeConfig completes names in the kubeconfig.
func (c *Common) completeConfig(names func(*api.Config) []string) completer {
	return offer(func(context.Context, *cobra.Command, []string, string) ([]string, error) {
		config, err := c.ConfigFlags.ToRawKubeConfigLoader().RawConfig()
		return names(&config), err
	})
}

func keys[T any](m map[string]T) []string { return slices.Collect(maps.Keys(m)) }

// quietReader returns a reader that says nothing of its progress: a shell waits for what it reads.
func (c *Common) quietReader() (*snapshot.Reader, error) {
	config, err := c.restConfig()
	if err != nil {
		return nil, err
	}
	return snapshot.NewReader(config)
}
