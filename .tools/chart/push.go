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
	"fmt"
	"net"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/registry"
)

// push pushes a package to REGISTRY/NAME:VERSION, with the credentials of `helm registry login` or `docker login`, and returns the repository
// and the digest of the artifact.
func push(p packaged, to string, created time.Time) (repository, digest string, err error) {
	options := []registry.ClientOption{}
	if isLoopback(to) {
		options = append(options, registry.ClientOptPlainHTTP()) // as for images
	}
	client, err := registry.NewClient(options...)
	if err != nil {
		return "", "", fmt.Errorf("set up the client of the registry: %w", err)
	}
	repository = strings.TrimSuffix(to, "/") + "/" + p.name
	result, err := client.Push(p.content, repository+":"+p.version, registry.PushOptCreationTime(created.Format(time.RFC3339)))
	if err != nil {
		return "", "", fmt.Errorf("push %s:%s (set CHARTS to where you may write; credentials are those of `docker login`): %w", repository, p.version, err)
	}
	return repository, result.Manifest.Digest, nil
}

// isLoopback reports whether a registry is on this machine, where it needs no TLS.
func isLoopback(repository string) bool {
	host, _, _ := strings.Cut(repository, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
