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

package simulation

import (
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// sighting is a version of a node, or its absence, as it reached a replica.
type sighting struct {
	at   time.Time
	node *v1.Node
	// gap says that what happened since the sighting before may not have been shown: a list brought it.
	gap bool
	// confirmed is the latest time of the API that nodes had shown before.
	confirmed time.Time
}

// view is what a replica was shown of the cluster.
type view struct {
	nodes map[string][]sighting
	pods  map[types.NamespacedName]*v1.Pod
	// podSeen is when a pod was first seen, bound.
	podSeen map[types.UID]time.Time
	// listed is when a resource was first read as a whole.
	listed map[string]time.Time
	// confirmed is the latest time of the API that a node has shown.
	confirmed time.Time
	// streamed are the objects of a streaming list that has not ended yet; no entry where a watch goes on.
	streamed map[string][]arrival
	apiClock apiClock
	// rulings are what policies were in force, each from a moment on; none before that is known.
	rulings []ruling
	// read says that all policies were read that the API server serves, and held that one rule that keeps all pods stands for them, because they
	// came to be served and cannot be read.
	read, held bool
	// shown is the latest version of each policy and budget, by the name of its resource, and that.
	shown map[string]map[types.NamespacedName]arrival
}

// arrival is an object of a list, and when it reached the replica. It is not believed before the list has ended, but it was
// seen.
type arrival struct {
	apitest.Object
	at time.Time
}

func newView(apiSkew time.Duration) *view {
	return &view{
		apiClock: apiClock{skew: apiSkew},
		nodes:    map[string][]sighting{}, pods: map[types.NamespacedName]*v1.Pod{}, podSeen: map[types.UID]time.Time{},
		listed: map[string]time.Time{}, streamed: map[string][]arrival{},
		shown: map[string]map[types.NamespacedName]arrival{policies: {}, budgets: {}, namespaces: {}},
	}
}

// opened notes that a watch was opened, with or without a streaming list before it.
func (v *view) opened(resource string, streamsList bool) {
	delete(v.streamed, resource)
	if streamsList {
		v.streamed[resource] = []arrival{}
	}
}

// delivered takes in an event of a watch.
func (v *view) delivered(resource string, e apitest.Event) {
	objects, listing := v.streamed[resource]
	switch {
	case e.Type == "BOOKMARK":
		if listing && e.Object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
			delete(v.streamed, resource)
			v.list(resource, objects)
		}
	case listing:
		v.streamed[resource] = append(objects, arrival{e.Object, time.Now()})
	default:
		v.see(arrival{e.Object, time.Now()}, v.confirmed, e.Type == "DELETED", false)
	}
}

// list takes in a whole list.
func (v *view) list(resource string, objects []arrival) {
	now := time.Now()
	if v.listed[resource].IsZero() {
		v.listed[resource] = now
	}
	present := map[types.NamespacedName]bool{}
	confirmed := v.confirmed
	if _, others := v.shown[resource]; others {
		v.listOthers(resource, objects)
		return
	}
	for _, o := range objects {
		v.see(o, confirmed, false, true)
		present[nameOf(o)] = true
	}
	if resource == "pods" {
		for name := range v.pods {
			if !present[name] {
				delete(v.pods, name)
			}
		}
		return
	}
	for name, seen := range v.nodes {
		if node := seen[len(seen)-1].node; node != nil && !present[types.NamespacedName{Name: name}] {
			v.see(arrival{node, now}, confirmed, true, true)
		}
	}
}

func (v *view) see(a arrival, confirmed time.Time, gone, gap bool) {
	now := a.at
	switch o := a.Object.(type) {
	case *v1.Node:
		s := sighting{now, o, gap, confirmed}
		v.confirmed = last(v.confirmed, writtenAt(o))
		if gone {
			s.node = nil
		}
		v.nodes[o.Name] = append(v.nodes[o.Name], s)
	case *v1.Pod:
		switch {
		case gone:
			delete(v.pods, nameOf(o))
		case o.Spec.NodeName != "":
			v.pods[nameOf(o)] = o
			if v.podSeen[o.UID].IsZero() {
				v.podSeen[o.UID] = now
			}
		}
	default:
		v.seeOther(a, gone)
	}
}

func nameOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// synced says whether all pods and nodes have been read before a moment, and what policies there are.
func (v *view) synced(before time.Time) bool {
	pods, nodes := v.listed["pods"], v.listed["nodes"]
	return !pods.IsZero() && !nodes.IsZero() && pods.Before(before) && nodes.Before(before) && len(v.rulings) > 0 && v.rulings[0].at.Before(before)
}

// watched says whether this replica saw one version of a node follow another without a gap.
func (v *view) watched(earlier, later *v1.Node) bool {
	seen := v.nodes[later.Name]
	for i := 1; i < len(seen) && earlier != nil; i++ {
		if s := seen[i]; !s.gap && s.node != nil && seen[i-1].node != nil &&
			s.node.ResourceVersion == later.ResourceVersion && seen[i-1].node.ResourceVersion == earlier.ResourceVersion {
			return true
		}
	}
	return false
}
