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

package main

import (
	"context"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/krew/pkg/constants"
	"sigs.k8s.io/krew/pkg/index"
	"sigs.k8s.io/yaml"
)

const pluginDescription = `Evictions by NoExecute taints happen by rules that few know by heart. This plugin says what they come to in your cluster: what would become
of the pods of a node if it had a taint, why a pod goes, went or stays, what is scheduled, blocked by a disruption budget or held, and what
is wrong with a set-up. It decides by the code of taint-manager, the controller that takes the place of kube-controller-manager's
taint-eviction-controller.
`

const pluginCaveats = `For completion of names and flags, copy kubectl_complete-taint_manager to a directory of your $PATH. It is beside the plugin, in
~/.krew/store/taint-manager, and so are man pages.

Clusters that do not run taint-manager evict by other rules; kubectl taint-manager doctor says what runs.
`

// krewManifest writes the manifest by which krew installs the plugin.
func (r *release) krewManifest(context.Context) error {
	manifest := index.Plugin{
		TypeMeta:   metav1.TypeMeta{APIVersion: constants.CurrentAPIVersion, Kind: constants.PluginKind},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: index.PluginSpec{
			Version:          r.version,
			Homepage:         repository,
			ShortDescription: "Say which pods go because of taints, when and why",
			Description:      pluginDescription,
			Caveats:          pluginCaveats,
		},
	}
	for _, a := range r.archives {
		manifest.Spec.Platforms = append(manifest.Spec.Platforms, index.Platform{
			URI:      r.downloads + "/" + r.version + "/" + a.file,
			Sha256:   a.sha256,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"os": a.platform.os, "arch": a.platform.arch}},
			Files:    []index.FileOperation{{From: "*", To: "."}},
			Bin:      a.platform.program(),
		})
	}
	data, err := yaml.Marshal(manifest)
	if err != nil {
		return err
	}
	return os.WriteFile(r.path(name+constants.ManifestExtension), data, 0o644)
}
