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

package loop

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntilReturnsTheLastErrorOfTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, wrong := 0, errors.New("wrong")
		err := Until(t.Context(), time.Second, 2500*time.Millisecond, func(context.Context) error { tries++; return wrong })
		if !errors.Is(err, wrong) || !errors.Is(err, context.DeadlineExceeded) || tries != 3 {
			t.Errorf("%d tries: %v", tries, err)
		}
		err = Until(t.Context(), time.Second, time.Minute, func(context.Context) error {
			if tries++; tries < 6 {
				return wrong
			}
			return nil
		})
		if err != nil || tries != 6 {
			t.Errorf("%d tries: %v", tries, err)
		}
	})
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	var calls atomic.Int64
	if err := Each(t.Context(), 3, 10, func(context.Context, int) error { calls.Add(1); return nil }); err != nil || calls.Load() != 10 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
	wrong := errors.New("wrong")
	calls.Store(0)
	err := Each(t.Context(), 1, 10, func(_ context.Context, i int) error {
		if calls.Add(1); i == 4 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || calls.Load() != 5 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if err := Sleep(ctx, time.Nanosecond); err != nil {
		t.Error(err)
	}
	cancel()
	if err := Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
