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

import (
	"bytes"
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"

	"github.com/taint-manager/taint-manager/e2e/framework/results"
)

// recordServer hands on what the API server is, to whoever runs the tests against several.
func recordServer(ctx context.Context, c *cluster) error {
	streams, err := streamsLists(ctx, c.client)
	if err != nil {
		return err
	}
	return results.AppendServer(results.Server{Kubernetes: c.kubernetes, StreamingLists: streams})
}

// streamsLists reports whether the API server offers lists that are streamed by a watch, by its metric of feature gates.
func streamsLists(ctx context.Context, client kubernetes.Interface) (bool, error) {
	metrics, err := client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return false, fmt.Errorf("metrics of the API server: %w", err)
	}
	return watchListEnabled(metrics), nil
}

// watchListEnabled reads the feature gate from metrics. A server that does not know the gate has none of its lists either.
func watchListEnabled(metrics []byte) bool {
	for line := range bytes.Lines(metrics) {
		if bytes.HasPrefix(line, []byte("kubernetes_feature_enabled{")) && bytes.Contains(line, []byte(`name="WatchList"`)) {
			return bytes.HasSuffix(bytes.TrimSpace(line), []byte(" 1"))
		}
	}
	return false
}

// NeedsStreamingLists skips the test where the API server offers no lists that are streamed by a watch.
func (s *Scene) NeedsStreamingLists() {
	s.T.Helper()
	streams, err := streamsLists(s.Context(), s.Client)
	s.Must(err)
	if !streams {
		s.T.Skip("lists are not streamed by default")
	}
}
