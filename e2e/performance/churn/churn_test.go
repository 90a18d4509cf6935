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
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	restwatch "k8s.io/client-go/rest/watch"

	"github.com/taint-manager/taint-manager/e2e/performance/figures"
	"github.com/taint-manager/taint-manager/e2e/performance/load"
)

func TestParse(t *testing.T) {
	if o, err := parse([]string{"--nodes=3", "--duration=2s"}, io.Discard); err != nil || o.nodes != 3 || o.duration != 2*time.Second || o.podUpdates != 5000 {
		t.Errorf("%+v: %v", o, err)
	}
	for _, args := range [][]string{{"--pods=0"}, {"--duration=1ms"}, {"--what"}, {"word"}} {
		if _, err := parse(args, io.Discard); !errors.Is(err, figures.ErrUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// serve writes events as an API server does, a pod with an empty name as the bookmark after a list, and leaves the watch open.
func serve(t *testing.T, info runtime.SerializerInfo, names ...string) io.ReadCloser {
	reader, writer := io.Pipe()
	codecs := scheme.Codecs.WithoutConversion()
	encoder := restwatch.NewEncoder(
		streaming.NewEncoder(info.StreamSerializer.NewFrameWriter(writer), codecs.EncoderForVersion(info.StreamSerializer.Serializer, v1.SchemeGroupVersion)),
		codecs.EncoderForVersion(info.Serializer, v1.SchemeGroupVersion))
	go func() {
		for _, name := range names {
			event := &watch.Event{Type: watch.Added, Object: &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"long": strings.Repeat("x", 3000)}}}}
			if name == "" {
				event = &watch.Event{Type: watch.Bookmark, Object: &v1.Pod{ObjectMeta: metav1.ObjectMeta{
					Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
				}}}
			}
			if err := encoder.Encode(event); err != nil {
				t.Error(err)
			}
		}
	}()
	return reader
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A reader that knows nothing of the proxy reads the events of both sides, each in its order, in every format.
func TestStream(t *testing.T) {
	const own, sent = 200, 300
	names := []string{}
	for i := range own {
		names = append(names, fmt.Sprintf("theirs-%03d", i))
	}
	names[20] = ""
	codecs := scheme.Codecs.WithoutConversion()
	for _, contentType := range []string{"application/vnd.kubernetes.protobuf;stream=watch", "application/json"} {
		t.Run(contentType, func(t *testing.T) {
			mediaType, _, _ := strings.Cut(contentType, ";")
			info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
			left := 0
			s, err := newStream(contentType, serve(t, info, names...), true, func(*stream) { left++ })
			must(t, err)
			cluster := load.Cluster{Nodes: 10, Pods: sent, Began: time.Now()}
			var sending sync.WaitGroup
			defer sending.Wait()
			begun := false
			decoder := restwatch.NewDecoder(
				streaming.NewDecoder(info.StreamSerializer.NewFrameReader(s), info.StreamSerializer.Serializer),
				codecs.DecoderToVersion(info.Serializer, v1.SchemeGroupVersion))
			theirs, ours := 0, 0
			for theirs < own || ours < sent {
				kind, object, err := decoder.Decode()
				must(t, err)
				switch pod := object.(*v1.Pod); kind {
				case watch.Added, watch.Bookmark:
					if pod.Name != names[theirs] {
						t.Fatalf("event %d is of %q", theirs, pod.Name)
					}
					theirs++
				case watch.Modified:
					if pod.UID != load.PodUID(ours) || len(pod.Spec.Containers) != 2 {
						t.Fatalf("event %d is of %q", ours, pod.UID)
					}
					ours++
				}
				if s.listed.Load() && !begun {
					begun = true
					sending.Go(func() {
						for i := range sent {
							if err := s.send(&watch.Event{Type: watch.Modified, Object: cluster.Pod(i, 1, time.Now())}); err != nil {
								t.Error(err)
							}
						}
					})
				}
			}
			if err := s.Close(); err != nil || left != 1 {
				t.Errorf("left %d times: %v", left, err)
			}
			if err := s.send(&watch.Event{Type: watch.Modified, Object: &v1.Pod{}}); err == nil {
				t.Error("sends to nobody")
			}
		})
	}
}

func TestStreamOfUnknownFormat(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/yaml"} {
		if _, err := newStream(contentType, io.NopCloser(strings.NewReader("")), false, func(*stream) {}); err == nil {
			t.Errorf("%q is understood", contentType)
		}
	}
}

func TestProxyKnowsWatches(t *testing.T) {
	for text, want := range map[string]string{
		"/api/v1/pods?watch=true&fieldSelector=spec.nodeName%21%3D": pods,
		"/api/v1/nodes?watch=1":                nodes,
		"/api/v1/nodes?watch=false":            "",
		"/api/v1/nodes":                        "",
		"/api/v1/namespaces/x/pods?watch=true": "",
		"/apis/apps/v1/daemonsets?watch=true":  "",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := watchedResource(u); ok != (want != "") || ok && got != want {
			t.Errorf("%s is a watch of %q: %t", text, got, ok)
		}
	}
}

func TestNobodyWatchesFromTheFuture(t *testing.T) {
	p := &proxy{}
	query := func(version string) string {
		return p.backToHorizon(url.Values{"resourceVersion": {version}}).Get("resourceVersion")
	}
	if got := query("700"); got != "700" {
		t.Errorf("asks for %s before anything was put in", got)
	}
	p.horizon.Store(500)
	for version, want := range map[string]string{"700": "500", "500": "500", "0": "0", "": "", "x": "x"} {
		if got := query(version); got != want {
			t.Errorf("for %s asks for %s", version, got)
		}
	}
}

// Updates change what the API says of health, and nothing that the rules read.
func TestUpdates(t *testing.T) {
	c := load.Cluster{Nodes: 10, Pods: 100, Began: time.Now().Add(-time.Hour)}
	u := &updates{}
	pod, node := c.Pod(50, 1, c.Began), c.Node(5, 1, c.Began)
	u.version.Store(999)
	updated := u.podUpdate(pod.DeepCopy()).Object.(*v1.Pod)
	if updated.ResourceVersion != "1000" || updated.ManagedFields[1].Time.Equal(pod.ManagedFields[1].Time) {
		t.Errorf("pod: version %s, written %v", updated.ResourceVersion, updated.ManagedFields[1].Time)
	}
	for i, condition := range updated.Status.Conditions {
		ready := condition.Type == v1.PodReady || condition.Type == v1.ContainersReady
		if same := condition.LastTransitionTime.Equal(&pod.Status.Conditions[i].LastTransitionTime); same == ready {
			t.Errorf("condition %s: unchanged %t", condition.Type, same)
		}
	}
	beat := u.nodeUpdate(node.DeepCopy()).Object.(*v1.Node)
	ready := beat.Status.Conditions[3]
	if beat.ResourceVersion != "1001" || ready.LastHeartbeatTime.Equal(&node.Status.Conditions[3].LastHeartbeatTime) ||
		!ready.LastTransitionTime.Equal(&node.Status.Conditions[3].LastTransitionTime) {
		t.Errorf("node: version %s, condition %v", beat.ResourceVersion, ready)
	}
}

func TestMarkdown(t *testing.T) {
	r := results{Machine: "here", Kubernetes: "v1", Nodes: 200, Pods: 5000}
	round := result{
		Name: oursName, Rounds: 1, Idle: usage{20, 0, 0}, Busy: usage{22, 6, 0}, NodeUpdates: 20_000, PodUpdates: 100_000, Seconds: 20,
		ResidentBefore: 40 << 20, ResidentAfter: 60 << 20, Peak: 50 << 20, Live: 5 << 20,
	}
	builtin, whole, again := round, round, round
	builtin.Name, builtin.Idle, builtin.Busy, builtin.ResidentAfter = "builtin", usage{20, 0.2, 0}, usage{22, 8.22, 0}, 300<<20
	whole.Name, whole.Busy, whole.Live = wholeName, usage{22, 12, 0}, 10<<20
	again.Busy.CPUSeconds, again.ResidentBefore = 6.4, 60<<20
	for _, c := range []result{builtin, round, whole, again} {
		r.add(c)
	}
	text := r.markdown()
	for _, want := range []string{
		"here; Kubernetes v1. 200 nodes",
		"| | builtin | taint-manager | taint-manager, decoding whole objects | of builtin | of taint-manager, decoding whole objects |\n|---|---|---|---|---|---|\n",
		"nodes | 1000 | 1000 | 1000 | | |", "pods | 5000 | 5000 | 5000 | | |",
		"| **CPU for them, of one core** | 40.0 % | 31.0 % | 60.0 % | 0.78 | 0.52 |", "| CPU per update | 66.7 µs | 51.7 µs | 100.0 µs | 0.77 | 0.52 |",
		"| CPU without any, of one core | 1.00 % | 0.00 % | 0.00 % | | |", "before | 40 MiB | 50 MiB | 40 MiB | 1.25 | 1.25 |",
		"after | 300 MiB | 60 MiB | 60 MiB | 0.20 | 1.00 |", "live heap after | 5.0 MiB | 5.0 MiB | 10.0 MiB | 1.00 | 0.50 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table has no %q:\n%s", want, text)
		}
	}
}
