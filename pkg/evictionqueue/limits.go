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

package evictionqueue

import (
	"container/list"
	"time"
)

const (
	// reservePart and minReserve say how much of the concurrency limit a namespace leaves to others: a tenth, and at least 4.
	reservePart, minReserve = 10, 4
	// recoveryFailures is how many attempts in a row must have failed in a namespace for the next success to count as its recovery.
	recoveryFailures = 5
	// forgetAfter is how long the failures of a node or namespace are kept after its last pod.
	forgetAfter = 10 * time.Minute
)

// limits bounds how many pods are in flight: in total, and per node and namespace (key).
//
// A namespace may use all of the concurrency limit that others do not use, except for a reserve. So a namespace that is alone has
// nearly all of it, and one that comes later can start at once, even if each call takes long. A node leaves half as much: where one
// namespace fills a node, other namespaces can start there too.
//
// An attempt that hangs is in flight until its timeout. So each failure halves the limit of its node and of its namespace, down to
// one, and each success doubles it again.
type limits struct {
	// limit is the concurrency limit, and inFlight the number of pods in flight.
	limit, inFlight int
}

// key is the state of a node or namespace that has pods due or in flight, or had failures.
type key struct {
	name   string
	isNode bool
	// queued counts its flows in the fair queue, and inFlight its pods in flight.
	queued, inFlight int
	// limit is the per-key limit after failures; 0 for none.
	limit int
	// failures counts failures in a row.
	failures int
	// idle is its element in the list of keys that are kept only for their failures, since idleSince; nil for other keys.
	idle      *list.Element
	idleSince time.Time
}

// maxInFlight returns how many pods of the key may be in flight under a concurrency limit.
func (k *key) maxInFlight(limit int) int {
	reserve := min(limit/2, max(minReserve, limit/reservePart))
	if k.isNode {
		reserve /= 2
	}
	return limit - reserve
}

// room returns how many more pods of a key may be handed out. While the concurrency limit is not reached, a key with nothing in
// flight has room.
func (l *limits) room(k *key) int {
	most := k.maxInFlight(l.limit - l.inFlight + k.inFlight)
	if k.limit > 0 {
		most = min(most, k.limit)
	}
	return most - k.inFlight
}

// attemptEnded adjusts the limit of a key, and reports whether the key has recovered: the first success after many failures.
func (l *limits) attemptEnded(k *key, failed bool) (recovered bool) {
	most := k.maxInFlight(l.limit)
	if failed {
		if k.limit == 0 {
			k.limit = most
		}
		k.limit = max(1, min(most, k.limit)/2)
		k.failures++
		return false
	}
	recovered = k.failures >= recoveryFailures
	k.failures = 0
	if k.limit *= 2; k.limit >= most {
		k.limit = 0
	}
	return recovered
}

// hasFailures reports whether the key has to be kept for its failures.
func (k *key) hasFailures() bool { return k.limit > 0 || k.failures > 0 }
