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

package podcache

import (
	"math/rand"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/randfill"

	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

var (
	plain   = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	partial = newPartialDecoder(plain, false)
)

// filler fills every field of API objects with reproducible random values.
func filler() *randfill.Filler {
	return fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(1), scheme.Codecs).NilChance(0.2).NumElements(0, 4)
}

func encoded(t testing.TB, obj runtime.Object, kind string) []byte {
	t.Helper()
	obj.GetObjectKind().SetGroupVersionKind(v1.SchemeGroupVersion.WithKind(kind))
	data, err := runtime.Encode(plain, obj)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decoded(t testing.TB, serializer runtime.Decoder, data []byte) runtime.Object {
	t.Helper()
	obj, err := runtime.Decode(serializer, data)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// readOf returns what is read of a decoded object, here and by evictions, with every object of a list.
func readOf(obj runtime.Object) any {
	switch o := obj.(type) {
	case *v1.Pod:
		return []any{NewPod(o, noon), o.Namespace, o.Name, o.UID, o.ResourceVersion, o.DeletionTimestamp, o.Annotations,
			o.Labels, o.Spec.TerminationGracePeriodSeconds}
	case *v1.Node:
		return []any{NewNode(o, noon, 1), taintstart.Observe(o, noon, 1), o.Name, o.Annotations}
	case *v1.PodList:
		all := []any{o.ListMeta}
		for i := range o.Items {
			all = append(all, readOf(&o.Items[i]))
		}
		return all
	case *v1.NodeList:
		all := []any{o.ListMeta}
		for i := range o.Items {
			all = append(all, readOf(&o.Items[i]))
		}
		return all
	default:
		return obj
	}
}

func TestPartialDecoderKeepsWhatIsRead(t *testing.T) {
	fill := filler()
	for i := range 300 {
		pod, node, config := &v1.Pod{}, &v1.Node{}, &v1.ConfigMap{}
		pods, nodes := &v1.PodList{}, &v1.NodeList{}
		for _, obj := range []any{pod, node, config, pods, nodes} {
			fill.Fill(obj)
		}
		phases := []v1.PodPhase{v1.PodRunning, v1.PodSucceeded, v1.PodFailed, v1.PodFailed}
		pod.Status.Phase = phases[i%len(phases)]
		for i := range pods.Items {
			pods.Items[i].Status.Phase = phases[i%len(phases)]
		}
		for kind, obj := range map[string]runtime.Object{"Pod": pod, "Node": node, "ConfigMap": config, "PodList": pods, "NodeList": nodes} {
			data := encoded(t, obj, kind)
			want, got := decoded(t, plain, data), decoded(t, partial, data)
			if !reflect.DeepEqual(readOf(got), readOf(want)) {
				t.Fatalf("%s: read %+v\nwant %+v", kind, readOf(got), readOf(want))
			}
		}
	}
}

// TestPartialDecoderDropsTheRest checks that the other fields are dropped.
func TestPartialDecoderDropsTheRest(t *testing.T) {
	pod, node := &v1.Pod{}, &v1.Node{}
	fill := filler().NilChance(0).NumElements(1, 1)
	fill.Fill(pod)
	fill.Fill(node)
	pod.Status.Phase = v1.PodFailed
	gotPod := decoded(t, partial, encoded(t, pod, "Pod")).(*v1.Pod)
	left := v1.PodSpec{NodeName: pod.Spec.NodeName, Tolerations: pod.Spec.Tolerations, Priority: pod.Spec.Priority,
		TerminationGracePeriodSeconds: pod.Spec.TerminationGracePeriodSeconds}
	if !reflect.DeepEqual(gotPod.Spec, left) {
		t.Errorf("pod has %+v", gotPod.Spec)
	}
	if gotPod.ManagedFields != nil || gotPod.OwnerReferences != nil || gotPod.Status.HostIPs != nil {
		t.Errorf("pod has %+v, %+v", gotPod.ObjectMeta, gotPod.Status)
	}
	statuses := func(pod *v1.Pod) []v1.ContainerStatus {
		return slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses)
	}
	if n := len(statuses(gotPod)); n != 3 {
		t.Errorf("a pod that failed has %d containers", n)
	}
	for _, got := range statuses(gotPod) {
		if got.Name != "" || got.Image != "" || got.Resources != nil || got.State.Terminated != nil && got.State.Terminated.Message != "" {
			t.Errorf("a container has %+v", got)
		}
	}
	pod.Status.Phase = v1.PodRunning
	if n := len(statuses(decoded(t, partial, encoded(t, pod, "Pod")).(*v1.Pod))); n != 0 {
		t.Errorf("a pod that runs has %d containers", n)
	}
	gotNode := decoded(t, partial, encoded(t, node, "Node")).(*v1.Node)
	if gotNode.Status.Images != nil || gotNode.OwnerReferences != nil || gotNode.ManagedFields == nil {
		t.Errorf("node has %+v, %+v", gotNode.ObjectMeta, gotNode.Status)
	}
}

// TestOwnersAreKeptOnDemand checks that a decoder for evictions keeps the owners of pods, and nothing else that another one drops.
func TestOwnersAreKeptOnDemand(t *testing.T) {
	pod := &v1.Pod{}
	filler().NilChance(0).NumElements(1, 1).Fill(pod)
	data := encoded(t, pod, "Pod")
	got := decoded(t, newPartialDecoder(plain, true), data).(*v1.Pod)
	if want := decoded(t, plain, data).(*v1.Pod).OwnerReferences; len(want) != 1 || !reflect.DeepEqual(got.OwnerReferences, want) {
		t.Errorf("got owners %+v, want %+v", got.OwnerReferences, want)
	}
	got.OwnerReferences = nil
	if want := decoded(t, partial, data); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestNewClient reads a pod in either encoding.
func TestNewClient(t *testing.T) {
	pod := apiPod(scheduled, func(pod *v1.Pod) { pod.Spec.Containers = []v1.Container{{Name: "c"}} })
	for accept, containers := range map[string]int{runtime.ContentTypeProtobuf: 0, runtime.ContentTypeJSON: 1} {
		info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), accept)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", accept)
			answer := pod.DeepCopy()
			answer.SetGroupVersionKind(v1.SchemeGroupVersion.WithKind("Pod"))
			if r.URL.Path != "/api/v1/namespaces/ns/pods/p" || r.Header.Get("Accept") != accept {
				t.Errorf("asked for %s as %s", r.URL, r.Header.Get("Accept"))
			}
			_ = info.Serializer.Encode(answer, w)
		}))
		client, err := NewClient(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{AcceptContentTypes: accept}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Pods("ns").Get(t.Context(), "p", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Spec.Containers) != containers || got.Spec.NodeName != "n" || got.UID != "u" {
			t.Errorf("%s: got %+v", accept, got)
		}
		server.Close()
	}
	if _, err := NewClient(&rest.Config{Host: "http://%"}); err == nil {
		t.Error("no error about a bad address")
	}
}

// FuzzPartialDecoder decodes malformed and truncated pods: nothing panics, and what can be decoded is decoded to the same.
func FuzzPartialDecoder(f *testing.F) {
	pod, pods := &v1.Pod{}, &v1.PodList{}
	fill := filler()
	fill.Fill(pod)
	fill.Fill(pods)
	for _, data := range [][]byte{encoded(f, apiPod(scheduled), "Pod"), encoded(f, pod, "Pod"), encoded(f, pods, "PodList")} {
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte(nil))
	f.Add([]byte("k8s\x00\x0a\x05\x12\x03Pod\x12\x01\x0a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := runtime.Decode(plain, data)
		if err != nil {
			_, _ = runtime.Decode(partial, data) // may accept more: dropped fields are not parsed
			return
		}
		if got := decoded(t, partial, data); !reflect.DeepEqual(readOf(got), readOf(want)) {
			t.Errorf("read %+v\nwant %+v", readOf(got), readOf(want))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	pod := &v1.Pod{}
	filler().NilChance(0.1).Fill(pod)
	data := encoded(b, pod, "Pod")
	for name, serializer := range map[string]runtime.Decoder{
		"whole": plain, "partial": partial, "partial, with containers": partialDecoder{plain, partial.failed, partial.failed},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := runtime.Decode(serializer, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
