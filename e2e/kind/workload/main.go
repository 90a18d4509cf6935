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

// Command workload is what runs in the pods of the tests on kind: nothing, until SIGTERM, or a server, or a client. What it
// was told and when it ended, or what a client has seen, stands in its termination message, which becomes part of the pod's
// status.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/taint-manager/taint-manager/e2e/kind/workload/requests"
)

// terminationMessage is the kubelet's default path.
const terminationMessage = "/dev/termination-log"

func main() {
	linger := flag.Duration("linger", 0, "go on for so long after SIGTERM")
	listen := flag.String("listen", "", "comma-separated `addresses` to accept connections at")
	dial := flag.String("dial", "", "only try to connect to this `address`: exit code 0 if that works")
	address := flag.String("serve", "", "`address` of an HTTP server, which is not ready after SIGTERM, and ends when it has lingered")
	url := flag.String("get", "", "only get this `URL`, again and again, until SIGTERM")
	flag.Parse()
	if *dial != "" {
		os.Exit(connect(*dial))
	}
	if err := run(*linger, *listen, *address, *url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run does what was asked for until SIGTERM, and writes the termination message.
func run(linger time.Duration, listen, address, url string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var message string
	var err error
	if url != "" {
		message, err = get(ctx, url)
	} else {
		message, err = wait(ctx, linger, listen, address)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(terminationMessage, []byte(message), 0o600)
}

// wait accepts connections and serves, if it is to, until SIGTERM and for some time after it. It returns these two times.
func wait(ctx context.Context, linger time.Duration, listen, address string) (string, error) {
	for address := range strings.SplitSeq(listen, ",") {
		if address != "" {
			if err := accept(address); err != nil {
				return "", err
			}
		}
	}
	var web *server
	if address != "" {
		var err error
		if web, err = serve(address); err != nil {
			return "", err
		}
	}
	<-ctx.Done() // another SIGTERM does not end it sooner
	told := time.Now()
	if web != nil {
		web.ending.Store(true)
	}
	time.Sleep(linger)
	if web != nil {
		if err := web.close(); err != nil {
			return "", err
		}
	}
	return told.Format(time.RFC3339Nano) + " " + time.Now().Format(time.RFC3339Nano), nil
}

// get sends requests from the first answer on, of which the log tells, until SIGTERM. It returns a requests.Report.
func get(ctx context.Context, url string) (string, error) {
	client := requests.Client()
	if err := requests.AwaitAnswer(ctx, client, url); err != nil {
		return "", err
	}
	fmt.Println("counting")
	text, err := json.Marshal(requests.Send(ctx, client, url))
	return string(text), err
}

func accept(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
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
	return nil
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
