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

package budget

import "time"

// LongestBlocked returns for how long a budget that pods wait for has let none go, of the budget for which that is longest. It is 0 if no pod waits.
// Where budgets let pods go, those at the end of a long line are not blocked.
func (t *Tracker) LongestBlocked() time.Duration {
	t.lock.Lock()
	defer t.lock.Unlock()
	now, longest := t.clock.Now(), time.Duration(0)
	consider := func(since time.Time, s *state) {
		if s != nil && s.wentAt.After(since) {
			since = s.wentAt
		}
		longest = max(longest, now.Sub(since))
	}
	for _, w := range t.waiters {
		consider(w.since, w.state)
	}
	for _, inNamespace := range t.budgets {
		for _, s := range inNamespace {
			if s.turn != nil && s.turn.Waited { // a probe, which may be refused
				consider(s.turn.Since, s)
			}
		}
	}
	return longest
}
