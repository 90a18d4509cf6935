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

package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"

// evict asks for an eviction, and also notes what an operator reads of a refusal.
func (s *server) evict(name, options string) {
	s.t.Helper()
	o := s.say("POST", pods+"/"+name+"/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"`+name+
		`","annotations":{"requested-by":"taint-manager"}},"deleteOptions":{`+options+`}}`)
	if o.Code == 409 {
		return // the message has UIDs and versions in it
	}
	s.note("  message %q", o.Message)
	if o.Details != nil {
		for _, cause := range o.Details.Causes {
			s.note("  cause %q", cause.Message)
		}
	}
}

// run makes a pod that runs, and is ready or not.
func (s *server) run(name, ready string) {
	s.say("POST", pods, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"`+name+`","labels":{"app":"web"}},"spec":{"nodeName":"n",`+
		`"containers":[{"name":"c","image":"none"}]}}`)
	s.say("PATCH", pods+"/"+name+"/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"`+ready+`"}]}}`)
}

// budget makes a budget.
func (s *server) budget(name string) {
	s.say("POST", budgets, `{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"`+name+`"},"spec":{"minAvailable":1,`+
		`"selector":{"matchLabels":{"app":"web"}}}}`)
}

// count writes the status of the budget "web", as the disruption controller does.
func (s *server) count(allowed, healthy int) {
	s.say("PATCH", budgets+"/web/status", fmt.Sprintf(
		`{"status":{"observedGeneration":1,"disruptionsAllowed":%d,"currentHealthy":%d,"desiredHealthy":1,"expectedPods":2,"disruptedPods":null}}`,
		allowed, healthy))
}

// left notes the status of the budget "web".
func (s *server) left() {
	s.t.Helper()
	o := s.say("GET", budgets+"/web", "")
	var status struct {
		DisruptionsAllowed, ObservedGeneration int
		DisruptedPods                          map[string]any
		Conditions                             []struct{ Type, Status, Reason string }
	}
	if err := json.Unmarshal(o.Status, &status); err != nil {
		s.t.Fatal(err)
	}
	s.note("  generation %d, observed %d, allows %d, disrupted %v, conditions %v", o.Metadata.Generation, status.ObservedGeneration,
		status.DisruptionsAllowed, slices.Sorted(maps.Keys(status.DisruptedPods)), status.Conditions)
}

// evictions are by the eviction API, without a disruption controller.
func (s *server) evictions() {
	s.evict("none", "")
	s.say("POST", pods, pod("pending", "n"))
	s.say("POST", pods+"/pending/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"other"}}`)
	s.evict("pending", "")
	s.say("GET", pods+"/pending", "")
	s.run("web-1", "True")
	s.budget("web")
	s.left()
	s.evict("web-1", "")
	s.count(0, 1)
	s.evict("web-1", "")
	s.count(0, 2)
	s.evict("web-1", "")
	s.count(2, 3)
	s.evict("web-1", `"preconditions":{"uid":"other"}`)
	s.left()
	s.evict("web-1", `"preconditions":{"uid":"`+s.uid("web-1")+`","resourceVersion":"1"}`)
	s.left()
	s.evict("web-1", "")
	s.count(1, 2)
	s.evict("web-1", `"gracePeriodSeconds":5,"preconditions":{"uid":"`+s.uid("web-1")+`","resourceVersion":"`+s.seen["web-1"].Metadata.ResourceVersion+`"}`)
	s.left()
	s.say("GET", pods+"/web-1", "")
	s.run("web-2", "False")
	s.budget("web2")
	s.evict("web-2", "")
	s.say("DELETE", budgets+"/web2", "")
	s.count(0, 0)
	s.evict("web-2", "")
	s.count(0, 1)
	s.evict("web-2", "")
	s.say("GET", pods+"/web-2", "")
	s.left()
	s.run("web-3", "False")
	s.say("PATCH", budgets+"/web", `{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"},"status":{"disruptionsAllowed":9}}`)
	s.count(0, 0)
	s.left()
	s.evict("web-3", "")
	s.say("GET", pods+"/web-3", "")
}
