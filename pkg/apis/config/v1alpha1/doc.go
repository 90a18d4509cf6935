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

// Package v1alpha1 is version v1alpha1 of the configuration file of taint-manager, which its flag --config names. It is not an API that
// the API server serves.
//
//	apiVersion: config.taint-manager.io/v1alpha1
//	kind: TaintManagerConfiguration
//	eviction:
//	  maxConcurrentEvictions: 100
//	evictionBrake:
//	  maxNodes: 20%
//
// # Defaults
//
// [Default] returns the defaults, and a file is decoded over them. So a field that is absent or null has its default, and what is given
// counts as it is: 0, false, "" and an empty list are values. A list or a map replaces its default as a whole.
//
// # Validation
//
// [Validate] returns all that is wrong with a configuration, with the path of each field.
package v1alpha1
