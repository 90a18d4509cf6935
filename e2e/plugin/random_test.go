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

package plugin

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
)

const (
	keyA, keyB, keyOld, keyNamed = "example.com/a", "example.com/b", "example.com/old", "example.com/named"
	// clusterLabel is the label of a node with the name of its cluster, and setLabel that with the taints that it gets.
	clusterLabel, setLabel = "cluster", "taints"
	// lateSeconds is for how long the last pod of each cluster tolerates the taints at least, so that there is time to ask why.
	lateSeconds = 60
)

// taintSets are what is put on nodes.
func taintSets() [][]corev1.Taint {
	taint := func(key, value string, effect corev1.TaintEffect) corev1.Taint {
		return corev1.Taint{Key: key, Value: value, Effect: effect}
	}
	return [][]corev1.Taint{
		{taint(keyA, "", corev1.TaintEffectNoExecute)},
		{taint(keyA, "x", corev1.TaintEffectNoExecute)},
		{taint(keyA, "", corev1.TaintEffectNoExecute), taint(keyB, "y", corev1.TaintEffectNoExecute)},
		{taint(keyB, "y", corev1.TaintEffectNoExecute), taint(keyNamed, "", corev1.TaintEffectNoSchedule)},
		{taint(keyNamed, "", corev1.TaintEffectNoSchedule)},
	}
}

// randomCluster is a node with pods, and policies that select it alone.
type randomCluster struct {
	name     string
	set      int
	old      bool
	pods     []*corev1.Pod
	policies []*unstructured.Unstructured
}

func newRandomCluster(r *rand.Rand, i int, namespace string) randomCluster {
	c := randomCluster{name: fmt.Sprintf("c-%d", i), set: r.IntN(len(taintSets())), old: r.IntN(2) == 0}
	for p := range 4 {
		pod := builders.Pod(c.name, builders.Named(fmt.Sprintf("%s-%d", c.name, p)), builders.NotScheduled)
		pod.Namespace = namespace
		pod.Labels = map[string]string{"tier": []string{"x", "y"}[r.IntN(2)]}
		pod.Spec.Tolerations = randomTolerations(r, p == 3)
		c.pods = append(c.pods, pod)
	}
	for p := range r.IntN(3) {
		c.policies = append(c.policies, randomPolicy(r, c.name, p))
	}
	return c
}

// randomTolerations returns tolerations in a random order. Some come twice: the first counts.
func randomTolerations(r *rand.Rand, late bool) (all []corev1.Toleration) {
	forever := corev1.Toleration{Key: keyOld, Operator: corev1.TolerationOpExists}
	for _, key := range []string{keyA, keyB, keyNamed, keyA} {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
		seconds := int64(r.IntN(30))
		if late {
			seconds += lateSeconds
		}
		t.TolerationSeconds = &seconds
		switch r.IntN(6) {
		case 0:
			if !late {
				continue
			}
		case 1:
			t.TolerationSeconds = nil
		case 2:
			t.Operator, t.Value = corev1.TolerationOpEqual, []string{"x", "y"}[r.IntN(2)]
		}
		all = append(all, t)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return append(all, forever)
}

func randomPolicy(r *rand.Rand, cluster string, i int) *unstructured.Unstructured {
	mode := []string{"Delete", "Evict", "Keep", "Preview"}[r.IntN(4)]
	taint := []string{"{key: " + keyA + "}", "{key: " + keyB + "}", "{key: example.com/*}", "{key: " + keyNamed + ", effect: NoSchedule}"}[r.IntN(4)]
	spec := fmt.Sprintf("matchingPrecedence: %d\nmode: %s\ntaints: [%s]\nnodeSelector: {matchLabels: {%s: %s}}\n", 1+r.IntN(1000), mode, taint, clusterLabel, cluster)
	if mode == "Evict" {
		spec += []string{"evict: {deleteAfter: Never}\n", "evict: {deleteAfter: AfterSeconds, deleteAfterSeconds: 20}\n"}[r.IntN(2)]
	}
	if r.IntN(2) == 0 {
		spec += "podSelector: {matchLabels: {tier: x}}\n"
	}
	if named := strings.Contains(taint, "NoSchedule"); mode != "Keep" && (named || r.IntN(2) == 0) {
		spec += fmt.Sprintf("minTaintAgeSeconds: %d\n", 5+r.IntN(10))
	}
	var fields any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		panic(err) // a mistake above
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy.taint-manager.io/v1alpha1", "kind": "TaintEvictionPolicy",
		"metadata": map[string]any{"name": fmt.Sprintf("%s-%d", cluster, i)}, "spec": fields,
	}}
}

// node describes the node of a cluster.
func (c *randomCluster) node(node *corev1.Node) {
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	node.Labels[clusterLabel], node.Labels[setLabel] = c.name, fmt.Sprintf("set-%d", c.set)
	if now := metav1.NewTime(time.Now()); c.old {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: keyOld, Effect: corev1.TaintEffectNoExecute, TimeAdded: &now})
	}
}
