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

// Command kubectl-taint_manager is the plugin `kubectl taint-manager`. It says which pods go because of taints, when and why, and which would
// go if a node was tainted. It asks the API server, with read permissions, and decides by the code of the controller.
package main

import (
	"os"

	"github.com/taint-manager/taint-manager/cmd/kubectl-taint_manager/app"
)

func main() {
	os.Exit(app.Main())
}
