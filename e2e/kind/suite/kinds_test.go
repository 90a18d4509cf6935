//go:build kind

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

package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/e2e/framework/builders"
	"github.com/taint-manager/taint-manager/e2e/framework/podwatch"
	"github.com/taint-manager/taint-manager/e2e/framework/timing"
)

func TestGracePeriodsAreKept(t *testing.T) {
	s := shared(t)
	node := s.worker()
	const hook, linger = 3, 4
	polite := s.run(on(node), grace(30), running("-linger=4s"), func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: hook}}}
	})
	stubborn := s.run(on(node), grace(5), running("-linger=10m"))
	tainted := s.taint(node, s.key)
	s.evicted(expectation{polite, due(tainted, 0)}, expectation{stubborn, due(tainted, 0)})

	end := s.gone(polite)
	ended := terminated(end.Last)
	if ended == nil || ended.ExitCode != 0 {
		t.Fatalf("the container of pod %s ended with %v, want exit code 0", polite.Name, ended)
	}
	// Its own clock says that it had all the time that it was entitled to; had that been too long, the kubelet would have
	// killed it at the end of its grace period.
	told, done := s.times(ended.Message)
	if hooked := told.Sub(tainted.Before); hooked < hook*time.Second {
		t.Errorf("pod %s got SIGTERM after %s, when its preStop hook of %d s still ran", polite.Name, timing.Round(hooked), hook)
	}
	if lingered := done.Sub(told); lingered < linger*time.Second {
		t.Errorf("pod %s ran for %s after SIGTERM, and not for the %d s that it takes to end", polite.Name, timing.Round(lingered), linger)
	}

	end = s.gone(stubborn)
	if ended := terminated(end.Last); ended == nil || ended.ExitCode != 137 {
		t.Errorf("the container of pod %s, which ignores SIGTERM, ended with %v, want exit code 137", stubborn.Name, ended)
	}
	if lived := end.Gone.Sub(tainted.Before); lived < 5*time.Second {
		t.Errorf("pod %s, which ignores SIGTERM, was gone after %s of its grace period of 5 s", stubborn.Name, timing.Round(lived))
	}
}

// terminated is the end of a pod's only container.
func terminated(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	if len(pod.Status.ContainerStatuses) == 0 {
		return nil
	}
	return pod.Status.ContainerStatuses[0].State.Terminated
}

// times are when a container got SIGTERM and when it ended, as it wrote down itself.
func (s *scene) times(written string) (told, done time.Time) {
	s.Helper()
	first, second, _ := strings.Cut(written, " ")
	told, err := time.Parse(time.RFC3339Nano, first)
	s.must(err)
	done, err = time.Parse(time.RFC3339Nano, second)
	s.must(err)
	return told, done
}

func TestDaemonSets(t *testing.T) {
	s := shared(t)
	node := s.worker()
	tolerant := s.daemonSet("tolerant", builders.ToleratesForever(s.key))
	others := s.daemonSet("others")
	tainted := s.taint(node, s.key)
	// The DaemonSet controller deletes a pod that must not run there, too: whoever is first.
	here, elsewhere := split(others, node)
	s.evictedAt(here[0], due(tainted, 0))
	s.gone(here[0])
	s.stay(time.Now().Add(3*time.Second), "they tolerate the taint or are on another node", append(elsewhere, tolerant...)...)
	s.untaint(node, s.key)
	back, _ := split(s.awaitReady("others", len(others), ""), node)
	if len(back) != 1 || back[0].UID == here[0].UID {
		t.Errorf("the DaemonSet has the pods %v on node %s after the taint has gone, want a new one", back, node)
	}
	s.stay(time.Now(), "the taint has gone", append(elsewhere, tolerant...)...)
}

func TestStatefulSets(t *testing.T) {
	s := shared(t)
	node := s.worker()
	here, elsewhere := split(s.statefulSet("db", 3, preferring(node), grace(10), running("-linger=2s")), node)
	if len(here) == 0 {
		t.Fatalf("no pod is on node %s, which they prefer", node)
	}
	tainted := s.taint(node, s.key)
	for _, pod := range here {
		s.evictedAt(pod, due(tainted, 0))
	}
	s.awaitReady("db", 3, node)
	for _, pod := range here {
		s.notDoubled(pod)
	}
	s.stay(time.Now(), "they are on another node", elsewhere...)
}

// notDoubled checks that the successor of a pod with the same name came when it was gone, and that its container started
// when the old one had ended.
func (s *scene) notDoubled(old *corev1.Pod) {
	s.Helper()
	before := s.watch.Of(old)
	var all []podwatch.Sighting
	s.watch.Look(func(seen *podwatch.Sightings) { all = seen.All() })
	for _, after := range all {
		if after.Last.Name != old.Name || after.Last.UID == old.UID {
			continue
		}
		if before.Gone.IsZero() || after.First.Before(before.Gone) {
			s.Errorf("pod %s came a second time at %s, before the first was gone", old.Name, after.First.Format(time.StampMilli))
		}
		ended, started := terminated(before.Last), after.Last.Status.ContainerStatuses
		if ended == nil || len(started) == 0 || started[0].State.Running == nil {
			s.Errorf("pod %s: the first container's state is %v, and the second one's %v", old.Name, ended, started)
		} else if at := started[0].State.Running.StartedAt; at.Time.Before(ended.FinishedAt.Time) {
			s.Errorf("pod %s: its second container started at %s, before the first ended at %s", old.Name, at, ended.FinishedAt)
		}
		return
	}
	s.Errorf("pod %s did not come back", old.Name)
}

func TestStaticPodsAreLeftAlone(t *testing.T) {
	s := shared(t)
	node := s.worker()
	mirror := s.static(node)
	ordinary := s.run(on(node))
	tainted := s.taint(node, s.key)
	s.evictedAt(ordinary, due(tainted, 0))
	s.stay(tainted.After.Add(6*time.Second), "it is a static pod's", mirror)
	last := s.watch.Of(mirror).Last
	if was, is := mirror.Status.ContainerStatuses[0].ContainerID, last.Status.ContainerStatuses[0].ContainerID; was != is {
		t.Errorf("the container of the static pod was %s and is %s", was, is)
	}
}

// static gives a node a static pod, and returns its mirror pod when that is ready.
func (s *scene) static(node string) *corev1.Pod {
	s.Helper()
	pod := s.template(labelled("static"), builders.Named("static"))
	pod.TypeMeta, pod.Namespace = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, s.namespace
	text, err := json.Marshal(pod) // which is YAML, too
	s.must(err)
	file := "/etc/kubernetes/manifests/" + s.namespace + ".yaml"
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := cluster.Exec(ctx, node, "rm", "-f", file); err != nil {
			s.Errorf("clearing: %v", err)
		}
	})
	// The kubelet reads each file of the directory: it is moved there when it is complete.
	_, err = cluster.Script(s.Context(), node, fmt.Sprintf("cat >static.yaml <<'END'\n%s\nEND\nmv static.yaml %s\n", text, file))
	s.must(err)
	return s.awaitReady("static", 1, "")[0]
}
