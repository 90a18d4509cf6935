package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/harness"
)

func TestHealthIsServedToAnyone(t *testing.T) {
	suite.OursOnly(t, "about our own endpoints")
	s := suite.Shared(t)
	for _, path := range []string{"/healthz", "/livez", "/readyz", "/readyz?verbose"} {
		if status, body := s.Ask(path, ""); status != http.StatusOK || !strings.Contains(body, "ok") {
			t.Errorf("%s: %d: %s", path, status, body)
		}
	}
	for _, path := range []string{"/metrics", "/", "/debug/pprof/"} {
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
	s.Pod(node, harness.Tolerates("ill", 600))
	s.Evicted(pod, harness.Due(s.Taint(node, harness.NoExecute("ill")), 0))

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

// hasMetrics says what is missing.
func hasMetrics(body string) error {
	for _, line := range []string{
		"\ntaint_eviction_controller_pod_deletions_total ",
		"\ntaint_eviction_controller_pod_deletion_duration_seconds_count ",
		"\ntaint_manager_evictions_total{result=\"Deleted\"} ",
		"\ntaint_manager_scheduled_evictions ",
		"\ntaint_manager_eviction_lateness_seconds_bucket{attempt=\"first\"",
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
