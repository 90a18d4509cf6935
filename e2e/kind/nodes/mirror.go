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

package nodes

import (
	"context"
	"fmt"
	"strings"
)

// mirrorScript has the container runtime of a node ask $2 for images of the registry $1. The runtime has to be told once where it finds out
// about such mirrors, unless the node image did.
const mirrorScript = `
config=/etc/containerd/config.toml
if ! grep -q config_path "$config"; then
  printf '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n' >>"$config"
  systemctl restart containerd
fi
mkdir -p "/etc/containerd/certs.d/$1"
printf '[host."%s"]\n  capabilities = ["pull", "resolve"]\n' "$2" >"/etc/containerd/certs.d/$1/hosts.toml"
`

// Mirror has all nodes pull the images of a registry, which is a host and a port, from a URL: the registry has another name on the nodes.
func (c Cluster) Mirror(ctx context.Context, registry, url string) error {
	names, err := c.Kubectl(ctx, "get", "nodes", "-o", `jsonpath={.items[*].metadata.name}`)
	if err != nil {
		return err
	}
	for _, node := range strings.Fields(names) {
		if _, err := c.Script(ctx, node, mirrorScript, registry, url); err != nil {
			return fmt.Errorf("node %s and the registry %s: %w", node, registry, err)
		}
	}
	return nil
}
