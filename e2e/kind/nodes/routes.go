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

// bridgesScript prints the ranges of pod addresses of a node whose network plugin is a bridge.
const bridgesScript = `jq -r '.plugins[] | select(.type == "bridge") | .ipam.ranges[][].subnet' /etc/cni/net.d/*.conflist`

// ConnectPods adds routes to the pods of other nodes, where the network plugin is a bridge, which knows its own node only.
// kind's own plugin makes the same routes. All nodes have to be ready.
func (c Cluster) ConnectPods(ctx context.Context) error {
	text, err := c.Kubectl(ctx, "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}`)
	if err != nil {
		return err
	}
	addresses := map[string]string{}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 {
			addresses[words[0]] = words[1]
		}
	}
	for node, address := range addresses {
		ranges, err := c.Script(ctx, node, bridgesScript)
		if err != nil {
			return err
		}
		for _, pods := range strings.Fields(ranges) {
			for other := range addresses {
				if other == node {
					continue
				}
				if _, err := c.Exec(ctx, other, "ip", "route", "replace", pods, "via", address); err != nil {
					return fmt.Errorf("routing from node %s to pods of node %s: %w", other, node, err)
				}
			}
		}
	}
	return nil
}
