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
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/explain"
	"github.com/taint-manager/taint-manager/pkg/snapshot"
)

// taintSource returns the taints that a flag may mean. With an error it returns those that were read before.
type taintSource = func(ctx context.Context, cmd *cobra.Command, args []string) ([]explain.TaintPattern, error)

// evicting are the effects that may evict.
func evicting() []v1.TaintEffect {
	return []v1.TaintEffect{v1.TaintEffectNoExecute, v1.TaintEffectNoSchedule}
}

// completeTaints completes a taint from one delimiter to the next: the key, after = the value, after : the effect. What follows a taint that
// does not end there is not separated from it by a space. With new set, the taint may be one that there is not yet: then any effect that evicts
// may follow, and not only that of a known taint.
func completeTaints(from taintSource, new bool) completer {
	complete := offer(func(ctx context.Context, cmd *cobra.Command, args []string, begin string) (candidates []string, err error) {
		if identity, _, inEffect := strings.Cut(begin, ":"); inEffect && new {
			for _, effect := range evicting() {
				candidates = append(candidates, identity+":"+string(effect))
			}
			return candidates, nil
		}
		taints, err := from(ctx, cmd, args)
		for _, t := range taints {
			effects := []v1.TaintEffect{t.Effect}
			if new {
				effects = evicting()
			}
			for _, t.Effect = range effects {
				candidates = append(candidates, taintCandidates(t, begin)...)
			}
		}
		return candidates, err
	})
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		candidates, directive := complete(cmd, args, begin)
		if !strings.Contains(begin, ":") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return candidates, directive
	}
}

// taintCandidates returns what a taint makes of what has been typed of it, up to the next delimiter.
func taintCandidates(t explain.TaintPattern, begin string) (candidates []string) {
	identity, _, inEffect := strings.Cut(begin, ":")
	key, value, inValue := strings.Cut(identity, "=")
	known := ptr.Deref(t.Value, "")
	withEffect := identity + ":" + string(t.Effect)
	switch {
	case inEffect:
		if t.Key == key && (!inValue || known == value) {
			candidates = append(candidates, withEffect)
		}
	case inValue:
		switch {
		case t.Key != key || known == "":
		case known == value:
			candidates = append(candidates, withEffect)
		default:
			candidates = append(candidates, key+"="+known)
		}
	case t.Key != key:
		candidates = append(candidates, t.Key)
	default: // the key is whole: go on
		if known != "" {
			candidates = append(candidates, key+"="+known)
		}
		candidates = append(candidates, withEffect)
	}
	return candidates
}

// plannedTaints returns what plan may add: taints of nodes and of policies, and those of a node that is lost.
func (c *Common) plannedTaints(ctx context.Context, _ *cobra.Command, _ []string) ([]explain.TaintPattern, error) {
	taints, err := c.knownTaints(ctx)
	for _, key := range []string{v1.TaintNodeNotReady, v1.TaintNodeUnreachable, v1.TaintNodeOutOfService} {
		taints = append(taints, explain.TaintPattern{Key: key})
	}
	taints = slices.DeleteFunc(taints, func(t explain.TaintPattern) bool { return strings.HasSuffix(t.Key, "/*") })
	return taints, err
}

// heldTaints returns what pause may hold: taints of nodes and of policies, but for those that it refuses to hold.
func (c *Common) heldTaints(conditions *bool) taintSource {
	return func(ctx context.Context, _ *cobra.Command, _ []string) ([]explain.TaintPattern, error) {
		taints, err := c.knownTaints(ctx)
		taints = slices.DeleteFunc(taints, func(t explain.TaintPattern) bool { return explain.IsNodeCondition(t.Key) && !*conditions })
		return taints, err
	}
}

// removableTaints returns the taints of the nodes that plan is asked about, or of all while none has been named.
func (c *Common) removableTaints(selector *string) taintSource {
	return func(ctx context.Context, _ *cobra.Command, nodes []string) ([]explain.TaintPattern, error) {
		reader, err := c.quietReader()
		if err != nil {
			return nil, err
		}
		return nodeTaints(ctx, reader, nodes, *selector)
	}
}

// knownTaints returns the taints of all nodes, and those that policies name.
func (c *Common) knownTaints(ctx context.Context) ([]explain.TaintPattern, error) {
	reader, err := c.quietReader()
	if err != nil {
		return nil, err
	}
	policies, failed := listedPolicies(ctx, reader)
	taints, err := nodeTaints(ctx, reader, nil, "")
	for _, policy := range policies {
		for _, pattern := range policy.Spec.Taints {
			t := explain.TaintPattern{Key: pattern.Key}
			if pattern.Value != nil {
				t.Value = ptr.To(string(*pattern.Value))
			}
			taints = append(taints, t)
		}
	}
	return taints, errors.Join(failed, err)
}

// nodeTaints returns the taints of some nodes, or else of those that a selector selects, which may evict pods.
func nodeTaints(ctx context.Context, reader *snapshot.Reader, names []string, selector string) (taints []explain.TaintPattern, err error) {
	var nodes []v1.Node
	for _, name := range names {
		node, failed := reader.Compact.Nodes().Get(ctx, name, metav1.GetOptions{})
		if err = errors.Join(err, failed); failed == nil {
			nodes = append(nodes, *node)
		}
	}
	if len(names) == 0 {
		options := metav1.ListOptions{LabelSelector: selector}
		nodes, err = snapshot.List(ctx, reader, "nodes", options, reader.Compact.Nodes().List, snapshot.Whole[v1.Node])
	}
	for i := range nodes {
		for _, t := range nodes[i].Spec.Taints {
			if t.Effect != v1.TaintEffectPreferNoSchedule {
				taints = append(taints, explain.TaintPattern{Key: t.Key, Value: ptr.To(t.Value), Effect: t.Effect})
			}
		}
	}
	return taints, err
}

// listedPolicies returns the policies that can be decoded. With an error it returns those that were read before.
func listedPolicies(ctx context.Context, reader *snapshot.Reader) ([]*v1alpha1.TaintEvictionPolicy, error) {
	client := reader.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("taintevictionpolicies"))
	return snapshot.List(ctx, reader, "policies", metav1.ListOptions{}, client.List, func(object *unstructured.Unstructured) (*v1alpha1.TaintEvictionPolicy, bool) {
		policy, err := explain.DecodePolicy(object)
		return policy, err == nil // the controller says what is wrong with others
	})
}
