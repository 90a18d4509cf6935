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

// Package monitoring tests what manifests/monitoring has with a real Prometheus that reads real replicas on a real control plane: each alert fires by
// the fault that it is for and ends with it, all are silent while nothing is wrong, and each query of the dashboard has an answer.
//
// Prometheus and promtool are built once, of the versions in tools/go.mod, and kept in the user's cache directory.
package monitoring
