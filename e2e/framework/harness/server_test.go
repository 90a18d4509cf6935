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

package harness

import "testing"

func TestWatchListEnabled(t *testing.T) {
	const others = "# TYPE kubernetes_feature_enabled gauge\n" +
		"kubernetes_feature_enabled{name=\"WatchListClient\",stage=\"BETA\"} 1\n" +
		"kubernetes_feature_enabled{name=\"APIListChunking\",stage=\"\"} 1\n"
	for text, want := range map[string]bool{
		others: false,
		others + "kubernetes_feature_enabled{name=\"WatchList\",stage=\"ALPHA\"} 0\n": false,
		others + "kubernetes_feature_enabled{name=\"WatchList\",stage=\"BETA\"} 1\n":  true,
		others + "kubernetes_feature_enabled{name=\"WatchList\",stage=\"\"} 1\n":      true,
	} {
		if got := watchListEnabled([]byte(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
