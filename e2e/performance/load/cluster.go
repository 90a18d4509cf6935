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

// Package load makes what measurements feed to a controller: nodes and pods as clusters have them, in size and content, and
// a steady pace.
//
// Every object is made of memory of its own. As from a decoder, no two share a string, a slice or a map, so that what a cache
// keeps of them is what it would keep of objects that were decoded.
package load

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// daemons is how many pods of each node are of a DaemonSet: they tolerate an ill node for ever.
	daemons = 2
	// podsPerWorkload is how many pods follow one another in a workload, and workloadsPerNamespace is the same of those.
	podsPerWorkload       = 10
	workloadsPerNamespace = 50
	// firstVersion is above the versions of what every cluster has.
	firstVersion = 1_000_000
)

// Cluster says how many nodes and pods there are. Pods are dealt to nodes in turn.
type Cluster struct {
	Nodes, Pods int
	// Began is when the pods and nodes came to be.
	Began time.Time
}

// On are the pods on a node.
func (c Cluster) On(node int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for pod := node; pod < c.Pods; pod += c.Nodes {
			if !yield(pod) {
				return
			}
		}
	}
}

// NodeOf is the node that a pod is on.
func (c Cluster) NodeOf(pod int) int { return pod % c.Nodes }

// IsDaemon says whether a pod is of a DaemonSet.
func (c Cluster) IsDaemon(pod int) bool { return pod/c.Nodes < daemons }

// NodeName is the name of a node.
func NodeName(node int) string {
	return fmt.Sprintf("ip-10-%d-%d-%d.eu-central-1.compute.internal", node>>16, node>>8&255, node&255)
}

// NodeUID is the UID of a node.
func NodeUID(node int) types.UID {
	return types.UID(fmt.Sprintf("9d3b1c77-4e02-4d5b-a1f6-%012x", node))
}

// PodUID is the UID of a pod.
func PodUID(pod int) types.UID {
	return types.UID(fmt.Sprintf("3f0e8a52-%04x-%04x-8c21-5e9a%08x", pod>>16&0xffff, pod&0xffff, pod))
}

// Namespace is the one that a pod is in.
func Namespace(pod int) string {
	return fmt.Sprintf("team-%05d", pod/podsPerWorkload/workloadsPerNamespace)
}

// Version is the n-th resource version.
func Version(n uint64) string { return strconv.FormatUint(firstVersion+n, 10) }

// fresh is a copy in memory of its own.
func fresh[T ~string](text T) T { return T(strings.Clone(string(text))) }

// quantity of a resource, which remembers how it was written.
func quantity(text string) resource.Quantity { return resource.MustParse(fresh(text)) }

// labels pairs keys with values.
func labels(pairs ...string) map[string]string {
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[fresh(pairs[i])] = fresh(pairs[i+1])
	}
	return m
}

// managed is an entry of metadata.managedFields.
func managed(manager, subresource string, at time.Time, fields string) metav1.ManagedFieldsEntry {
	when := metav1.NewTime(at.Truncate(time.Second))
	return metav1.ManagedFieldsEntry{
		Manager: fresh(manager), Operation: fresh(metav1.ManagedFieldsOperationUpdate), APIVersion: fresh("v1"), Time: &when,
		FieldsType: fresh("FieldsV1"), FieldsV1: metav1.NewFieldsV1(fresh(fields)), Subresource: fresh(subresource),
	}
}

// toleration of a taint of any value with that key.
func toleration(key string, effect v1.TaintEffect, seconds *int64) v1.Toleration {
	return v1.Toleration{Key: fresh(key), Operator: fresh(v1.TolerationOpExists), Effect: fresh(effect), TolerationSeconds: seconds}
}
