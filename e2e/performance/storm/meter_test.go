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

package main

import (
	"testing"
	"time"
)

func TestLineOf(t *testing.T) {
	if got := lineOf("/does/not/exist", "MemTotal"); got != "unknown" {
		t.Errorf("%q", got)
	}
}

func TestParseMachineTime(t *testing.T) {
	got, err := parseMachineTime("cpu  100 20 30 99999 9999 4 3 2 0 0\ncpu0 1 2 3 4 5 6 7 8\n")
	if err != nil || got != 1590*time.Millisecond {
		t.Errorf("%v, error %v", got, err)
	}
	if _, err := parseMachineTime("intr 1"); err == nil {
		t.Error("another line is no error")
	}
}

func TestOthers(t *testing.T) {
	used := usage{11, 22, 33, 144}.minus(usage{1, 2, 3, 4})
	if got := used.others(); got != 80 {
		t.Errorf("%d", got)
	}
	if got := (usage{process: 10, machine: 9}).others(); got != 0 { // the clocks are not read at the same moment
		t.Errorf("%d", got)
	}
}
