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

package harness

import (
	"context"

	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
)

// SkewedBinary builds taint-manager with a wall clock that launcher.WallClock sets.
func (s *Scene) SkewedBinary() string {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), startTimeout)
	defer cancel()
	s.T.Log("building taint-manager with a wall clock of its own (the first time takes minutes)")
	path, err := launcher.BuildSkewed(ctx, s.T.TempDir(), launcher.Controller)
	s.Must(err)
	return path
}
