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

package load

import (
	"context"
	"time"
)

// beat is the time between two spurts. Timers are not good at shorter ones.
const beat = 10 * time.Millisecond

// Pace calls send at a rate, for a time or until ctx is over, and returns how often it did. What a send that takes long has
// delayed is caught up with, so that a rate that is not reached shows that the receiver cannot keep up.
func Pace(ctx context.Context, perSecond int, duration time.Duration, send func(i int) error) (sent int, err error) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	began := time.Now()
	for {
		passed := min(time.Since(began), duration)
		for due := int(passed.Seconds() * float64(perSecond)); sent < due; sent++ {
			if err := send(sent); err != nil {
				return sent, err
			}
			if time.Since(began) > duration {
				return sent + 1, nil
			}
		}
		if passed == duration {
			return sent, nil
		}
		select {
		case <-ctx.Done():
			return sent, ctx.Err()
		case <-ticker.C:
		}
	}
}
