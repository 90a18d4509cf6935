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
	"reflect"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// eventTries is after how many tries an Event may be given up.
const eventTries = 17

// checkEvents compares the Events on pods with the deletes that took effect.
func (s *sim) checkEvents() {
	s.lock.Lock()
	defer s.lock.Unlock()
	events := map[types.UID]int{}
	for _, e := range s.history.events {
		if e.InvolvedObject.Kind == "Pod" && tellsOfEviction(e) {
			events[e.InvolvedObject.UID]++
		}
	}
	for uid, n := range events {
		if e := s.history.evictions[uid]; e == nil {
			s.fail(podName(s, uid), "an Event tells of an eviction: %s was not evicted", uid)
		} else if n > 1+e.again {
			s.fail(podName(s, uid), "an eviction has one Event: %s has %d", uid, n)
		}
	}
	for uid, e := range s.history.evictions {
		if s.plan.permanent != nil && s.plan.permanent.resource == "events" {
			break // written when it is well again
		}
		if e.answered && !e.by.ended && events[uid] == 0 && s.told[uid] < eventTries {
			s.fail(podName(s, uid), "an eviction has one Event: %s has none", uid)
		}
	}
}

// tellsOfEviction says whether an Event tells that a pod was evicted.
func tellsOfEviction(e *v1.Event) bool { return e.Reason == "TaintManagerEviction" }

// checkSizes compares what a replica holds with what there is.
func (s *sim) checkSizes() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, r := range s.alive() {
		scheduled := 0
		for uid := range s.history.pods {
			if _, ok := r.controller.Deadline(uid); ok {
				scheduled++
			}
		}
		due := 0
		if s.plan.permanent != nil {
			due = scheduled // they wait for those that take long
		}
		nodes := 0
		for name := range s.history.nodes {
			if node := s.history.node(name); node != nil && (len(node.Spec.Taints) > 0 || !isReady(node)) {
				nodes++
			}
		}
		c := reflect.ValueOf(r.controller).Elem()
		for what, sizes := range map[string][2]int{
			"pods that are scheduled":       {size(c, "taintEvictionQueue", "entries"), scheduled},
			"pods that wait for their time": {size(c, "taintEvictionQueue", "waiting", "items"), scheduled},
			"pods that are due":             {size(c, "taintEvictionQueue", "ready", "due"), due},
			"nodes that are tainted":        {size(c, "starts", "nodes"), nodes},
			"nodes that are read":           {size(c, "evictor", "nodes", "nodes"), s.plan.nodes},
			"nodes in the queue":            {size(c, "nodeUpdateQueue"), 0},
			"pods in the queue":             {size(c, "podUpdateQueue"), 0},
			"nodes whose evictions go on":   {size(c, "taintEvictionQueue", "ready", "nodes"), len(s.history.nodes)},
			"namespaces they go on in":      {size(c, "taintEvictionQueue", "ready", "namespaces"), 2},
		} {
			if sizes[0] > sizes[1] {
				s.fail(r.name, "nothing is held for long: %s holds %d %s, and there are %d", r.name, sizes[0], what, sizes[1])
			}
		}
	}
}

// size returns the length of a field of a field and so on, or the number that it is. It reads fields of our own that are not exported,
// because nobody else needs them; of what others made, it calls Len.
func size(v reflect.Value, path ...string) int {
	for _, name := range path {
		v = reflect.Indirect(v).FieldByName(name)
	}
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem() // allows calls of methods
	if counted, ok := v.Interface().(interface{ Len() int }); ok {
		return counted.Len()
	}
	if v.Kind() == reflect.Int {
		return int(v.Int())
	}
	return v.Len()
}
