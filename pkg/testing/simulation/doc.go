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

// Package simulation runs the whole controller under faults, in virtual time, and compares what it does with a naive
// statement of the rules.
//
// A run is fixed by a seed. It makes a list of steps: pods and nodes come and go, taints and tolerations change, clocks of
// writers are wrong, requests fail in every way that a network and an API server know, watches lag and break, replicas are
// killed, stopped and started, and lead, several at a time or none; policies and budgets come, change and go, and there may be an
// eviction brake and a pace of nodes. After each step some virtual time passes, the bubble
// runs to a standstill, and what happened is checked against the model's own history of every node and pod. In the end the
// faults stop, and everything has to come to rest.
//
//   - rules.go states the rules again, for one pod and the taints of its node. It can be checked against package deadline by eye.
//   - history.go is the model's truth; truth.go says how early it allows a pod to go, whatever a replica was shown.
//   - view.go is what one replica was shown; latest.go says how late that allows a pod to go.
//   - steps.go, nodes.go and pods.go change the cluster as its writers do; trouble.go is what else goes wrong.
//   - faults.go, kindfault.go and transport.go are between a replica and the API server; clocks.go has the clocks of both.
//   - replica.go is the controller, from its start to its end; election.go who of several leads.
//   - policyrules.go states what policies say, again; policyview.go is what policies one replica was shown.
//   - policyplan.go, policysteps.go, policytrouble.go and owners.go have policies, budgets and owners of pods come, change and go, in half of the
//     runs. All of that is drawn from chance of its own, so that it changes nothing in the other half.
//   - requests.go, judge.go, restraint.go, schedule.go and rest.go are the checks.
//
// The controller is the real one, with client-go's clients, informers and queues; only the transport is replaced, by
// package apitest behind faults. The order of what happens at the same moment is the Go scheduler's, so a seed fixes
// everything but that; faults are a function of the seed and of what is asked for the how manieth time.
package simulation
