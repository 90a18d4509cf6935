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

package explain

import (
	"fmt"
	"strings"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// summary returns a sentence, without its full stop, about a pod that exists. nodeExists tells whether its node does.
func (p *Pod) summary(nodeExists bool) string {
	switch {
	case p.Node == "":
		return "It is not bound to a node, and taints evict only pods that are"
	case p.Fate.Outcome == LeftAlone:
		return leftAlone(p.Fate.Reason)
	case !nodeExists:
		return "It stays as far as taints are concerned: its node does not exist, so pod garbage collection deletes it"
	default:
		return p.Fate.Sentence()
	}
}

func leftAlone(reason deadline.Reason) string {
	switch reason {
	case deadline.IsMirror:
		return "It is left alone: it is a mirror pod, and the API server cannot stop its static pod"
	case deadline.IsTerminating:
		return "It is left alone: it is being deleted already"
	default:
		return "It is left alone: it has finished; with --evict-finished-pods the controller deletes such pods"
	}
}

// Sentence says in words, without a time and a full stop, what becomes of a pod.
func (f *Fate) Sentence() string {
	switch f.Outcome {
	case Stays:
		if f.Reason == deadline.NoTaint {
			return "It stays: its node has no taint that evicts"
		}
		return "It stays: it tolerates each taint of its node for ever, or no policy has the others evict"
	case Held:
		var by []string
		for _, hold := range f.Held {
			who := "a dry run"
			if hold.Policy != "" {
				who = "policy " + hold.Policy
			}
			by = append(by, fmt.Sprintf("%s (%s) holds it for taint %s", who, hold.Mode, hold.Taint))
		}
		return "It stays: " + strings.Join(by, "; ")
	case LeftAlone:
		return leftAlone(f.Reason)
	}
	var words strings.Builder
	switch {
	case f.Outcome == Scheduled:
		words.WriteString("It must go later")
	case f.Outcome == Blocked && len(f.BlockedBy) > 1:
		fmt.Fprintf(&words, "It must go, and the eviction API refuses pods that several budgets cover: %s", strings.Join(f.BlockedBy, ", "))
	case f.Outcome == Blocked:
		fmt.Fprintf(&words, "It must go, and budget %s does not allow it now", f.BlockedBy[0])
	default:
		words.WriteString("It must go now")
	}
	fmt.Fprintf(&words, ", for taint %s, which it ", f.Taint)
	if f.Toleration == nil {
		words.WriteString("does not tolerate")
	} else {
		fmt.Fprintf(&words, "tolerates for %ds", *f.Toleration.TolerationSeconds)
	}
	switch {
	case f.ModeUnknown:
		words.WriteString("; in which mode, or whether a policy keeps it, is not known")
	case f.Policy == "":
		words.WriteString("; no policy applies, so it is deleted")
	case f.Mode == deadline.ModeEvict:
		fmt.Fprintf(&words, "; policy %s has it evicted under its disruption budget", f.Policy)
	default:
		fmt.Fprintf(&words, "; policy %s has it deleted", f.Policy)
	}
	return words.String()
}
