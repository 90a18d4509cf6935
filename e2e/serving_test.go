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

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/harness"
	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/manifests"
)

func TestHealthIsServedToAnyone(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Shared(t)
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/readyz?verbose"} {
		if status, body := s.Ask(path, ""); status != http.StatusOK || !strings.Contains(body, "ok") {
			t.Errorf("%s: %d: %s", path, status, body)
		}
	}
	for _, path := range []string{"/metrics", "/statusz", "/flagz", "/", "/debug/pprof/"} {
		if status, body := s.Ask(path, ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("%s, asked by nobody: %d: %.200s", path, status, body)
		}
	}
}

func TestMetricsAreServedToThoseWhoMay(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Shared(t)
	node := s.Node()
	pod := s.Pod(node)
	s.Pod(node, builders.Tolerates("ill", 600))
	s.Evicted(pod, harness.Due(s.Taint(node, builders.NoExecute("ill")), 0))

	if status, body := s.Ask("/metrics", s.Token("stranger", nil)); status != http.StatusForbidden {
		t.Errorf("an account without permissions: %d: %.200s", status, body)
	}
	if status, body := s.Ask("/metrics", "not-a-token"); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d: %.200s", status, body)
	}
	reader := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	s.Eventually("metrics", 10*time.Second, func(context.Context) error {
		status, body := s.Ask("/metrics", reader)
		if status != http.StatusOK {
			return fmt.Errorf("%d: %.200s", status, body)
		}
		return hasMetrics(body)
	})
}

// TestEndpointsAreServedToThoseWhoMay asks for each endpoint, and some profiles, as nobody, as somebody who is not known, as one without
// permissions, and as each of the two roles that the manifests have.
func TestEndpointsAreServedToThoseWhoMay(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "profiled", Args: []string{"--profiling", "--kube-api-qps=77"}})
	metricsReader, err := manifests.MetricsReader()
	s.Must(err)
	debugReader, err := manifests.DebugReader()
	s.Must(err)
	metrics, debug, stranger := s.Token("metrics", metricsReader.Rules), s.Token("debug", debugReader.Rules), s.Token("stranger", nil)
	bodies := map[string]string{}
	for _, test := range []struct {
		path           string
		metrics, debug int
	}{
		{"/metrics", http.StatusOK, http.StatusForbidden},
		{"/statusz", http.StatusForbidden, http.StatusOK},
		{"/flagz", http.StatusForbidden, http.StatusOK},
		{"/debug/pprof/", http.StatusForbidden, http.StatusOK},
		{"/debug/pprof/heap", http.StatusForbidden, http.StatusOK},
		{"/debug/pprof/goroutine?debug=1", http.StatusForbidden, http.StatusOK},
		{"/debug/pprof/profile?seconds=1", http.StatusForbidden, http.StatusOK},
		{"/debug/pprof/cmdline", http.StatusForbidden, http.StatusForbidden},
		{"/debug/pprof", http.StatusForbidden, http.StatusForbidden},
		{"/configz", http.StatusForbidden, http.StatusForbidden},
	} {
		for who, caller := range map[string]struct {
			token string
			want  int
		}{
			"nobody": {"", http.StatusForbidden}, "not known": {"not-a-token", http.StatusUnauthorized}, "stranger": {stranger, http.StatusForbidden},
			"metrics reader": {metrics, test.metrics}, "debug reader": {debug, test.debug},
		} {
			s.Eventually(test.path+", asked by "+who, 10*time.Second, func(context.Context) error {
				status, body := s.Ask(test.path, caller.token)
				if status != caller.want {
					return fmt.Errorf("%d: %.200s", status, body)
				}
				if status == http.StatusOK {
					bodies[test.path] = body
				}
				return nil
			})
		}
	}
	for path, part := range map[string]string{"/statusz": "taint-manager statusz", "/flagz": "77", "/debug/pprof/goroutine?debug=1": "tainteviction"} {
		if !strings.Contains(bodies[path], part) {
			t.Errorf("%s lacks %q: %.2000s", path, part, bodies[path])
		}
	}
}

// Strangers cannot make us ask the API server more often than an ordinary client does, nor keep those out who may.
func TestAFloodOfStrangers(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "flooded"})
	reader := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	posts := func() (n float64) {
		s.Eventually("metrics", 20*time.Second, func(context.Context) error {
			if status, body := s.Ask("/metrics", reader); status != http.StatusOK {
				return fmt.Errorf("%d: %.200s", status, body)
			}
			n = s.Metric(reader, "rest_client_requests_total", `method="POST"`)
			return nil
		})
		return n
	}
	before := posts()
	const strangers = 1000
	answers := make([]int, strangers)
	began := time.Now()
	workqueue.ParallelizeUntil(s.Context(), 100, strangers, func(i int) {
		status, _, err := harness.Get(s.Context(), s.Controller.URL()+"/metrics", fmt.Sprint("nobody-has-this-", i))
		if err != nil {
			t.Errorf("stranger %d: %v", i, err)
		}
		answers[i] = status
	})
	took := time.Since(began)
	counts := map[int]int{}
	for _, status := range answers {
		counts[status]++
	}
	asked := posts() - before
	s.Saw("%d strangers in %.1f s: answers %v, %.0f reviews", strangers, took.Seconds(), counts, asked)
	if counts[http.StatusUnauthorized]+counts[http.StatusTooManyRequests] != strangers || counts[http.StatusUnauthorized] == 0 {
		t.Errorf("answers %v", counts)
	}
	// 10 at once, 5 for each second, and those of the reader.
	if most := 15 + 5*(time.Since(began).Seconds()+1); asked > most {
		t.Errorf("%.0f reviews, want %.0f at most", asked, most)
	}
}

// hasMetrics says what is missing.
func hasMetrics(body string) error {
	for _, line := range []string{
		"\ntaint_eviction_controller_pod_deletions_total ",
		"\ntaint_eviction_controller_pod_deletion_duration_seconds_count ",
		"\ntaint_manager_evictions_total{result=\"Deleted\"} ",
		"\ntaint_manager_scheduled_evictions ",
		"\ntaint_manager_eviction_lateness_seconds_bucket{attempt=\"first\",mode=\"Delete\"",
		"\ntaint_manager_events_total{result=\"written\"} ",
		"\nworkqueue_depth{name=\"noexec_taint_node\"} ",
		"\nworkqueue_depth{name=\"noexec_taint_pod\"} ",
		"\nrest_client_requests_total{",
		"\nleader_election_master_status{name=\"taint-manager\"} 1",
		"\ngo_goroutines ",
	} {
		at := strings.Index(body, line)
		if at < 0 {
			return fmt.Errorf("no line like %s", strings.TrimSpace(line))
		}
		if value := body[at+len(line):]; strings.HasSuffix(line, " ") && strings.HasPrefix(value, "0\n") && !strings.Contains(line, "depth") {
			return fmt.Errorf("%s is 0", strings.TrimSpace(line))
		}
	}
	return nil
}

func TestServesWithACertificateOfItsOwn(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Alone(t)
	s.Start(harness.Options{Name: "self-signed", Unready: true, Args: []string{"--tls-cert-file=", "--tls-private-key-file="}})
	s.Eventually("readiness", 20*time.Second, func(ctx context.Context) error {
		status, body, err := harness.Get(ctx, s.Controller.URL()+"/readyz", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("readyz: %d: %s", status, body)
		}
		return err
	})
}

func TestStopsInOrder(t *testing.T) {
	suite.OursOnly(t, "the built-in one keeps its Lease")
	s := suite.Alone(t)
	leases := s.Client.CoordinationV1().Leases(metav1.NamespaceSystem)
	if err := leases.Delete(t.Context(), "taint-manager", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		s.Must(err) // as if it had never run in this cluster
	}
	controller := s.Start(harness.Options{Name: "stopped", LeaderElect: true})
	s.Eventually("leadership", 20*time.Second, func(context.Context) error { return leads(controller) })
	began := time.Now()
	s.Must(controller.Stop())
	if code, took := controller.ExitCode(), time.Since(began); code != 0 || took > 3*time.Second {
		t.Errorf("exit code %d after %s", code, took)
	}
	lease, err := leases.Get(t.Context(), "taint-manager", metav1.GetOptions{})
	s.Must(err)
	if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); holder != "" {
		t.Errorf("the Lease is still held by %s", holder)
	}
}

func TestTLSIsNew(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Shared(t)
	address := strings.TrimPrefix(s.Controller.URL(), "https://")
	for version, works := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version}}
		connection, err := dialer.DialContext(t.Context(), "tcp", address)
		if (err == nil) != works {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			s.Must(connection.Close())
		}
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Alone(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	renew := func(host string) {
		t.Helper()
		cert, key, err := certutil.GenerateSelfSignedCertKey(host, nil, nil)
		s.Must(err)
		// As the kubelet does with a Secret: what is there is replaced, not written to.
		for path, data := range map[string][]byte{certFile: cert, keyFile: key} {
			s.Must(os.WriteFile(path+".new", data, 0o600))
			s.Must(os.Rename(path+".new", path))
		}
	}
	renew("first.test")
	controller := s.Start(harness.Options{Name: "renewed", Args: []string{"--tls-cert-file=" + certFile, "--tls-private-key-file=" + keyFile}, Unready: true})
	serves := func(host string) {
		t.Helper()
		s.Eventually("the certificate of "+host, 90*time.Second, func(ctx context.Context) error {
			dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
			connection, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(controller.URL(), "https://"))
			if err != nil {
				return err
			}
			defer connection.Close()
			return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].VerifyHostname(host)
		})
	}
	serves("first.test")
	renew("second.test")
	serves("second.test")
}

// Whatever the verbosity, nobody who reads the log can become somebody else.
func TestNoSecretIsLogged(t *testing.T) {
	suite.OursOnly(t, "about our own log")
	s := suite.Alone(t)
	kubeconfig := s.Account("talkative", launcher.Rules())
	controller := s.Start(harness.Options{Name: "talkative", LeaderElect: true, Kubeconfig: kubeconfig, Args: []string{"--v=10"}})
	reader := s.Token("reader", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	const wrong = "a-token-that-nobody-has-been-given-by-anybody"
	s.Eventually("metrics", 10*time.Second, func(context.Context) error {
		if status, body := s.Ask("/metrics", reader); status != http.StatusOK {
			return fmt.Errorf("%d: %.200s", status, body)
		}
		return nil
	})
	s.Ask("/metrics", wrong)
	node := s.Node()
	pod := s.Pod(node)
	s.Evicted(pod, harness.Due(s.Taint(node, builders.NoExecute("ill")), 0))
	s.Must(controller.Stop())

	config, err := clientcmd.LoadFromFile(kubeconfig)
	s.Must(err)
	log, err := controller.Log()
	s.Must(err)
	if !strings.Contains(log, "Request Body") {
		t.Fatal("the log does not tell what is asked of the API server")
	}
	own := ""
	for _, user := range config.AuthInfos {
		own = user.Token
	}
	// What is no text is logged as a dump, of which each line ends in some characters of it.
	dumped := ""
	for _, piece := range regexp.MustCompile(`\|(.{1,16})\|`).FindAllStringSubmatch(log, -1) {
		dumped += piece[1]
	}
	for name, secret := range map[string]string{"the token of a caller": reader, "a wrong token": wrong, "our own token": own} {
		if secret == "" {
			t.Errorf("%s is empty", name)
		}
		// The end of a token is its signature.
		for where, text := range map[string]string{"log": log, "dumps in the log": dumped} {
			if strings.Contains(text, secret[len(secret)-30:]) {
				t.Errorf("%s is in the %s", name, where)
			}
		}
	}
}
