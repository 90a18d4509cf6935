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

// Command workload is what runs in the pods of the tests on kind: nothing, until SIGTERM. What it was told and when it
// ended stands in its termination message, which becomes part of the pod's status.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// terminationMessage is the kubelet's default path.
const terminationMessage = "/dev/termination-log"

func main() {
	linger := flag.Duration("linger", 0, "go on for so long after SIGTERM")
	listen := flag.String("listen", "", "comma-separated `addresses` to accept connections at")
	dial := flag.String("dial", "", "only try to connect to this `address`: exit code 0 if that works")
	flag.Parse()
	if *dial != "" {
		os.Exit(connect(*dial))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	for address := range strings.SplitSeq(*listen, ",") {
		if address != "" {
			accept(address)
		}
	}
	<-ctx.Done()
	stop()
	told := time.Now()
	timer := time.NewTimer(*linger)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGTERM) // another one does not end it sooner
	<-timer.C
	message := told.Format(time.RFC3339Nano) + " " + time.Now().Format(time.RFC3339Nano)
	if err := os.WriteFile(terminationMessage, []byte(message), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func accept(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
		}
	}()
}

func connect(address string) int {
	const timeout = 3 * time.Second
	connection, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = connection.Close()
	return 0
}
