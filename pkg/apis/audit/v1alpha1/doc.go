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

// Package v1alpha1 has the types of the audit log (--audit-log-path), version audit.taint-manager.io/v1alpha1.
//
// The log has one object of kind [EvictionRecord] in each line, in JSON. No API server serves it.
//
// The file evictionrecord.schema.json beside this one is the JSON Schema of a line. It is made from these types by make generate.
//
// # Versions
//
// In one version, fields may be added, and outcomes and reasons too. What is there keeps its name, its type and its meaning. So a reader
// ignores what it does not know.
package v1alpha1
