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

package controlplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// lowestPort is where the search for free ports begins: above what is commonly assigned to services.
const lowestPort = 15000

// FreePort returns a loopback TCP port on which nobody listens now. It lies below the range from which the kernel
// serves outgoing connections where that range is known: a port inside it could be taken by any client while the
// server that owns it is down, even by a client that tries to reach that very server.
func FreePort() (int, error) {
	end := firstEphemeralPort()
	if end <= lowestPort {
		return listenOnce(0)
	}
	var last error
	for range 200 {
		port, err := listenOnce(lowestPort + rand.IntN(end-lowestPort))
		if err == nil {
			return port, nil
		}
		last = err
	}
	return 0, fmt.Errorf("no free port from %d to %d: %w", lowestPort, end-1, last)
}

// freePorts returns n different free ports.
func freePorts(n int) ([]int, error) {
	seen := make(map[int]bool, n)
	ports := make([]int, 0, n)
	for len(ports) < n {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		if !seen[port] {
			seen[port] = true
			ports = append(ports, port)
		}
	}
	return ports, nil
}

func listenOnce(port int) (int, error) {
	l, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	got, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	if !ok {
		return 0, errors.New("looking for a free port: the listener has no TCP address")
	}
	return got.Port, nil
}

// firstEphemeralPort is where the kernel's range for outgoing connections begins, or 0 if it does not say.
func firstEphemeralPort() int {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	var first, last int
	if _, err := fmt.Sscan(string(data), &first, &last); err != nil {
		return 0
	}
	return first
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
