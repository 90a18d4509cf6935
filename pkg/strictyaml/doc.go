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

// Package strictyaml decodes a YAML document, which may be JSON, into a Go value that has JSON tags.
//
// The decoders of Kubernetes stop at the first value of a wrong type, and know no lines. Whoever corrects a file wants to see everything
// that is wrong with it at once, and where.
//
// # Guarantees
//
//   - Unknown and duplicate fields, values of a wrong type and a second document are errors. All errors of a document are returned, each
//     with its path and its line, in the order of the document. A document that is not YAML has one error.
//   - Names of fields are case-sensitive. What is decoded is what encoding/json would decode: its tags and json.Unmarshaler count.
//   - A field that is absent or null, or whose value is an error, keeps the value that it had. A list or a map replaces the old one as a
//     whole.
//   - Values are not converted: 8080 is not a string, and yes is not a boolean.
package strictyaml
