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
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/taint-manager/taint-manager/e2e/framework/controlplane"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/manifests"
)

// interval is the time between two scrapes, and between two evaluations of the rules.
const interval = time.Second

// prometheus is a Prometheus that reads our replicas, and evaluates rules.
type prometheus struct {
	promv1.API
	scene     *harness.Scene
	directory string
}

// startPrometheus starts one, which may read /metrics by the role of the manifests, and nothing else. It ends with the test, before its
// directory is removed: without its files, it crashes.
func startPrometheus(s *harness.Scene, rules string) *prometheus {
	s.T.Helper()
	program := tool(s.T, prometheusProgram)
	role, err := manifests.MetricsReader()
	s.Must(err)
	p := &prometheus{scene: s, directory: s.T.TempDir()}
	p.write("token", s.Token("prometheus", role.Rules))
	p.write("rules.yaml", rules)
	p.write("targets.json", "[]")
	p.write("prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: taint-manager
    scheme: https
    authorization: {credentials_file: token}
    tls_config: {ca_file: %[2]s}
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
`, interval, s.CP.CAFile()))
	port, err := controlplane.FreePort()
	s.Must(err)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	s.Must(err)
	p.API = promv1.NewAPI(client)
	process, err := s.CP.Run(s.Context(), controlplane.Spec{
		Name: "prometheus", Path: program,
		Args: []string{
			"--config.file=" + filepath.Join(p.directory, "prometheus.yaml"), "--storage.tsdb.path=" + filepath.Join(p.directory, "data"),
			"--web.listen-address=" + address, "--log.level=warn",
		},
		Ready: func(ctx context.Context) error {
			_, err := p.Buildinfo(ctx)
			return err
		},
	})
	s.Must(err)
	s.T.Cleanup(func() {
		if err := process.Stop(); err != nil {
			s.T.Error(err)
		}
	})
	return p
}

func (p *prometheus) write(name, text string) {
	p.scene.T.Helper()
	p.scene.Must(os.WriteFile(filepath.Join(p.directory, name), []byte(text), 0o600))
}

// reads makes Prometheus read these replicas and no others, and returns when it has read each.
func (p *prometheus) reads(replicas ...*harness.Controller) {
	p.scene.T.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	targets := group{Labels: map[string]string{"namespace": "kube-system"}}
	for _, replica := range replicas {
		targets.Targets = append(targets.Targets, strings.TrimPrefix(replica.URL(), "https://"))
	}
	text, err := json.Marshal([]group{targets})
	p.scene.Must(err)
	p.write("targets.json.new", string(text))
	p.scene.Must(os.Rename(filepath.Join(p.directory, "targets.json.new"), filepath.Join(p.directory, "targets.json")))
	p.scene.Eventually("Prometheus reads the replicas", 30*time.Second, func(ctx context.Context) error {
		up, err := p.value(ctx, `sum(up{job="taint-manager"})`)
		if err == nil && up != float64(len(replicas)) {
			var targets promv1.TargetsResult
			if targets, err = p.Targets(ctx); err == nil {
				err = fmt.Errorf("it reads %v of %d: %+v", up, len(replicas), targets.Active)
			}
		}
		return err
	})
}

// value returns the value of an expression that has one series, and 0 if it has none.
func (p *prometheus) value(ctx context.Context, expression string) (float64, error) {
	answer, _, err := p.Query(ctx, expression, time.Now())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", expression, err)
	}
	series, ok := answer.(model.Vector)
	switch {
	case !ok, len(series) > 1:
		return 0, fmt.Errorf("%s has the answer %v", expression, answer)
	case len(series) == 0:
		return 0, nil
	default:
		return float64(series[0].Value), nil
	}
}

// between returns the answer to an expression over a time.
func (p *prometheus) between(expression string, from, to time.Time) model.Matrix {
	p.scene.T.Helper()
	answer, _, err := p.QueryRange(p.scene.Context(), expression, promv1.Range{Start: from, End: to, Step: interval})
	if err != nil {
		p.scene.T.Fatalf("%s: %v", expression, err)
	}
	return answer.(model.Matrix)
}

// firing returns the names of the alerts that fire now.
func (p *prometheus) firing(ctx context.Context) (sets.Set[string], error) {
	answer, err := p.Alerts(ctx)
	names := sets.New[string]()
	for _, alert := range answer.Alerts {
		if alert.State == promv1.AlertStateFiring {
			names.Insert(string(alert.Labels[model.AlertNameLabel]))
		}
	}
	return names, err
}
