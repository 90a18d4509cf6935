package app

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	// idleBeforePing is how long nothing may arrive on a connection to the API server until it is asked for a sign of life, and
	// pingTimeout how long that may take until the connection counts as dead. client-go's own are 30 s and 15 s: for so long nobody
	// would be evicted where a load balancer or a dead node swallows what is sent. The second is the longer one, because a server
	// that has much to do should not lose its clients too.
	idleBeforePing, pingTimeout = 6 * time.Second, 8 * time.Second
)

// checkConnections has connections to the API server be checked, unless the operator has said how. It must be called before any
// client is made. An environment variable is the only way to say so to client-go: it reads these for each transport, and gives
// nobody else its HTTP/2 part. A transport of our own would have to read certificates and CAs again itself when they change.
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
