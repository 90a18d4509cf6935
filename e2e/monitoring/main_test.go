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

package monitoring

import (
	"os"
	"testing"

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// suite is what all tests share: one control plane, which starts when a test asks for it.
var suite = harness.NewSuite().Part()

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }
