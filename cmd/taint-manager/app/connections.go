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

package app

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	// idleBeforePing is how long a connection to the API server may be idle before it is pinged. pingTimeout is how long
	// the response may take before the connection is closed. client-go's defaults are 30 s and 15 s: no pod would be
	// evicted for so long if a load balancer or a dead node drops packets. pingTimeout is the longer one, so that a busy
	// server does not lose its clients.
	idleBeforePing, pingTimeout = 6 * time.Second, 8 * time.Second
)

// checkConnections enables pings of connections to the API server, unless the operator has configured them. It must be
// called before any client is made. client-go reads only environment variables, once for each transport, and does not
// expose its HTTP/2 transport. A transport of our own would have to reload certificates and CAs itself.
func checkConnections() error {
	for variable, value := range map[string]time.Duration{
		"HTTP2_READ_IDLE_TIMEOUT_SECONDS": idleBeforePing,
		"HTTP2_PING_TIMEOUT_SECONDS":      pingTimeout,
	} {
		if os.Getenv(variable) != "" {
			continue
		}
		if err := os.Setenv(variable, strconv.Itoa(int(value.Seconds()))); err != nil {
			return fmt.Errorf("setting %s: %w", variable, err)
		}
	}
	return nil
}
