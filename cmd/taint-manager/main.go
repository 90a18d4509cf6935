// Command taint-manager evicts pods from nodes that carry NoExecute taints. It replaces the taint-eviction-controller of
// kube-controller-manager.
package main

import (
	"os"

	"github.com/taint-manager/taint-manager/cmd/taint-manager/app"
)

func main() {
	os.Exit(app.Main())
}
