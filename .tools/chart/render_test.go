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
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	// root is the top of the repository, and chartDir the chart.
	root     = "../.."
	chartDir = root + "/manifests/helm/taint-manager"
	// releaseName is the name of the releases in these tests. It is not the chart's, which could be mixed up with it.
	releaseName = "of-the-test"
	// oldest is the oldest version of Kubernetes that the chart is for.
	oldest     = "v1.29.0"
	kubeSystem = "kube-system"
)

// objects are objects of Kubernetes by kind, namespace and name: "Deployment/kube-system/taint-manager".
type objects map[string]map[string]any

// rendering is what Helm makes of the chart and values.
type rendering struct {
	objects objects
	// hooks are what `helm test` makes, and weights the order in which it does.
	hooks   objects
	weights map[string]int
	notes   string
}

// render renders the chart with values in YAML, of which later ones win, as `helm template` does.
func render(namespace string, values ...string) (*rendering, error) {
	return renderOn(oldest, namespace, values...)
}

// renderOn is render for a version of Kubernetes.
func renderOn(version, namespace string, values ...string) (*rendering, error) {
	kubeVersion, err := common.ParseKubeVersion(version)
	if err != nil {
		return nil, err
	}
	loaded, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	return renderChart(loaded, kubeVersion, namespace, values...)
}

// renderChart is render for a chart that has been loaded.
func renderChart(whole *chart.Chart, kubeVersion *common.KubeVersion, namespace string, values ...string) (*rendering, error) {
	merged := map[string]any{}
	for _, text := range values {
		more, err := loader.LoadValues(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, text)
		}
		merged = loader.MergeMaps(merged, more)
	}
	install := action.NewInstall(&action.Configuration{})
	install.DryRunStrategy, install.Replace = action.DryRunClient, true
	install.ReleaseName, install.Namespace, install.KubeVersion = releaseName, namespace, kubeVersion
	result, err := install.Run(whole, merged)
	if err != nil {
		return nil, err
	}
	made, ok := result.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("a release is %T", result)
	}
	r := &rendering{hooks: objects{}, weights: map[string]int{}, notes: made.Info.Notes}
	if r.objects, err = decode(made.Manifest); err != nil {
		return nil, err
	}
	for _, hook := range made.Hooks {
		if !slices.Equal(hook.Events, []release.HookEvent{release.HookTest}) {
			return nil, fmt.Errorf("%s is a hook of %v", hook.Path, hook.Events)
		}
		some, err := decode(hook.Manifest)
		if err != nil {
			return nil, err
		}
		for key, object := range some {
			r.hooks[key], r.weights[key] = object, hook.Weight
		}
	}
	return r, nil
}

// mustRender is render for values that must be good.
func mustRender(t *testing.T, namespace string, values ...string) *rendering {
	t.Helper()
	r, err := render(namespace, values...)
	if err != nil {
		t.Fatalf("%v\nwith\n%s", err, strings.Join(values, "\n"))
	}
	return r
}

// decode returns the objects in documents of YAML.
func decode(documents string) (objects, error) {
	all := objects{}
	for document := range strings.SplitSeq("\n"+documents, "\n---") {
		object := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, document)
		}
		if len(object) == 0 {
			continue
		}
		key := keyOf(object)
		if all[key] != nil {
			return nil, fmt.Errorf("there are two %s", key)
		}
		all[key] = object
	}
	return all, nil
}

// keyOf returns the key of an object.
func keyOf(object map[string]any) string {
	u := unstructured.Unstructured{Object: object}
	return strings.ReplaceAll(fmt.Sprintf("%s/%s/%s", u.GetKind(), u.GetNamespace(), u.GetName()), "//", "/")
}

// fromYAML returns a value that is written in YAML.
func fromYAML(t *testing.T, text string) (value any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// sameAs reports whether a value is one that is written in YAML.
func sameAs(t *testing.T, value any, text string) bool {
	t.Helper()
	return reflect.DeepEqual(value, fromYAML(t, text))
}
