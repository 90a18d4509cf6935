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

package manifests

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	basemetrics "k8s.io/component-base/metrics"
	"sigs.k8s.io/yaml"

	"github.com/taint-manager/taint-manager/pkg/metrics"
)

// update makes TestPrometheusRule write the file instead of comparing it: see make generate.
var update = flag.Bool("update", false, "write monitoring/prometheusrule.yaml")

const (
	rulesFile     = "monitoring/rules.yaml"
	dashboardFile = "monitoring/dashboard.json"
	ruleObject    = "monitoring/prometheusrule.yaml"
	runbooks      = "https://github.com/taint-manager/taint-manager/blob/main/manifests/README.md#"
)

// ruleHeader is what makes a PrometheusRule of the rules.
const ruleHeader = `# Made of rules.yaml by make generate.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: taint-manager
  namespace: kube-system
  labels:
    app.kubernetes.io/name: taint-manager
spec:
`

// alertRule is a rule of the file of rules.
type alertRule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func alerts(t *testing.T) []alertRule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alertRule
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, rulesFile)), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("got %+v", file)
	}
	return file.Groups[0].Rules
}

// TestPrometheusRule compares the object for the Prometheus Operator with the rules.
func TestPrometheusRule(t *testing.T) {
	_, groups, found := strings.Cut(read(t, rulesFile), "\ngroups:\n")
	if !found {
		t.Fatalf("%s has no groups", rulesFile)
	}
	lines := strings.Split(strings.TrimSuffix("groups:\n"+groups, "\n"), "\n")
	want := ruleHeader + "  " + strings.Join(lines, "\n  ") + "\n"
	if *update {
		if err := os.WriteFile(ruleObject, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, ruleObject); got != want {
		t.Errorf("%s is not up to date: run make generate", ruleObject)
	}
	var rules, object struct {
		Groups any
		Spec   struct{ Groups any }
	}
	if err := yaml.Unmarshal([]byte(read(t, rulesFile)), &rules); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(want), &object); err != nil {
		t.Fatal(err)
	}
	if encode(t, object.Spec.Groups) != encode(t, rules.Groups) {
		t.Errorf("%s does not say the same as %s", ruleObject, rulesFile)
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestAlertsHaveRunbooks looks for the section of each alert, and for sections of alerts that there are not.
func TestAlertsHaveRunbooks(t *testing.T) {
	_, section, found := strings.Cut(read(t, "README.md"), "\n## Alerts\n")
	if !found {
		t.Fatal("README.md has no section Alerts")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	headings := sets.New[string]()
	for _, heading := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(section, -1) {
		headings.Insert(heading[1])
	}
	for _, rule := range alerts(t) {
		if !headings.Has(rule.Alert) {
			t.Errorf("README.md has no section %s", rule.Alert)
		}
		headings.Delete(rule.Alert)
		if got, want := rule.Annotations["runbook_url"], runbooks+strings.ToLower(rule.Alert); got != want {
			t.Errorf("%s: runbook_url is %s, want %s", rule.Alert, got, want)
		}
		for _, annotation := range []string{"summary", "description"} {
			if rule.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", rule.Alert, annotation)
			}
		}
		if severity := rule.Labels["severity"]; !slices.Contains([]string{"critical", "warning"}, severity) {
			t.Errorf("%s: severity is %q", rule.Alert, severity)
		}
	}
	if headings.Len() > 0 {
		t.Errorf("README.md has sections of alerts that there are not: %v", headings.UnsortedList())
	}
}

// ownMetrics returns the names of our metrics, as Prometheus knows them.
func ownMetrics(t *testing.T) sets.Set[string] {
	t.Helper()
	names := sets.New[string]()
	if _, err := metrics.New(func(metric basemetrics.Registerable) error {
		name := metric.FQName()
		names.Insert(name)
		switch metric.(type) {
		case *basemetrics.Histogram, *basemetrics.HistogramVec:
			names.Insert(name+"_bucket", name+"_count", name+"_sum")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestMonitoringNamesMetrics looks up each metric of ours that an alert, a test of one, or the dashboard names.
func TestMonitoringNamesMetrics(t *testing.T) {
	known := ownMetrics(t)
	ours := regexp.MustCompile(`\btaint_(?:manager|eviction_controller)_[a-z0-9_]*[a-z0-9]`)
	for _, file := range []string{rulesFile, "monitoring/rules_test.yaml", dashboardFile} {
		found := ours.FindAllString(read(t, file), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metrics", file)
		}
		for _, name := range found {
			if !known.Has(name) {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

// TestMonitoringIsComplete sees that kustomize takes each file that is applied, and that there are no others.
func TestMonitoringIsComplete(t *testing.T) {
	var kustomization struct {
		Resources          []string
		ConfigMapGenerator []struct{ Files []string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "monitoring/kustomization.yaml")), &kustomization); err != nil {
		t.Fatal(err)
	}
	applied := kustomization.Resources
	for _, generated := range kustomization.ConfigMapGenerator {
		applied = append(applied, generated.Files...)
	}
	if want := []string{"prometheusrule.yaml", "dashboard.json"}; !slices.Equal(applied, want) {
		t.Errorf("kustomize applies %v, want %v", applied, want)
	}
	for _, name := range applied {
		if _, err := os.Stat(filepath.Join("monitoring", name)); err != nil {
			t.Error(err)
		}
	}
}
