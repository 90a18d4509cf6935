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
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// NewClient returns a client that decodes only the fields of pods and nodes that this package keeps. Writes, other kinds
// and other encodings than protobuf are complete.
//
// An API object is mostly container specs, managed fields and images. Decoding them would be most of the cost of a watch.
func NewClient(config *rest.Config) (typedcorev1.CoreV1Interface, error) {
	return newClient(config, withPartialDecoder(codecs(), false))
}

// NewClientWithOwners is NewClient, and also decodes ownerReferences of pods. It is for evictions: informers keep no owners.
func NewClientWithOwners(config *rest.Config) (typedcorev1.CoreV1Interface, error) {
	return newClient(config, withPartialDecoder(codecs(), true))
}

// codecs returns the serializer of client-go's own clients.
func codecs() runtime.NegotiatedSerializer {
	return rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()
}

func newClient(config *rest.Config, serializer runtime.NegotiatedSerializer) (typedcorev1.CoreV1Interface, error) {
	config = rest.CopyConfig(config)
	config.APIPath = "/api"
	config.GroupVersion = &v1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client for pods and nodes: %w", err)
	}
	return typedcorev1.New(client), nil
}

// partialSerializer is a serializer with a partial decoder for protobuf.
type partialSerializer struct {
	runtime.NegotiatedSerializer
	types []runtime.SerializerInfo // cached because each request reads them
}

func withPartialDecoder(serializer runtime.NegotiatedSerializer, owners bool) partialSerializer {
	s := partialSerializer{serializer, slices.Clone(serializer.SupportedMediaTypes())}
	for i := range s.types {
		if s.types[i].MediaType == runtime.ContentTypeProtobuf {
			s.types[i].Serializer = newPartialDecoder(s.types[i].Serializer, owners)
		}
	}
	return s
}

func (s partialSerializer) SupportedMediaTypes() []runtime.SerializerInfo { return s.types }

// partialDecoder removes the fields that are not kept, and decodes the rest.
type partialDecoder struct {
	runtime.Serializer
	// kinds are the masks by kind. failed also keeps container statuses, which are read only of failed pods. For others,
	// decoding and converting them would be two fifths of the cost of a pod (see BenchmarkDecode).
	kinds, failed map[string]fieldMask
}

// newPartialDecoder returns a decoder that keeps ownerReferences of pods if owners is set.
func newPartialDecoder(serializer runtime.Serializer, owners bool) partialDecoder {
	there := fieldMask{} // keeps that the message is present, and nothing in it
	state := fieldMask{2: there /* running */, 3: there /* terminated */}
	container := fieldMask{2: state, 3: state /* lastState */, 5: nil /* restartCount */, 9: nil /* started */}
	return partialDecoder{serializer, kinds(nil, owners), kinds(container, owners)}
}

func (s partialDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	return s.Serializer.Decode(s.masked(data), defaults, into)
}

// fieldMask holds the fields of a message that are kept, by number. A field with a nil mask is kept whole.
//
// The numbers are those of the generated.proto files of k8s.io/api/core/v1 and k8s.io/apimachinery. They are part of the
// API.
type fieldMask map[protowire.Number]fieldMask

// kinds returns the masks of all kinds that are decoded partially, with the envelope around each. They keep what NewPod,
// NewNode and evictions read, and what reflectors read of bookmarks. container is the mask of container statuses, or nil to
// drop them. owners also keeps who owns a pod.
func kinds(container fieldMask, owners bool) map[string]fieldMask {
	var whole fieldMask
	status := fieldMask{1: whole /* phase */, 2: whole /* conditions */}
	if container != nil {
		status[8], status[10], status[13] = container, container, container // containerStatuses, initContainerStatuses, ephemeralContainerStatuses
	}
	podMeta := fieldMask{1: whole /* name */, 3: whole /* namespace */, 5: whole /* uid */, 6: whole, /* resourceVersion */
		7: whole /* generation */, 8: whole /* creationTimestamp */, 9: whole, /* deletionTimestamp */
		11: whole /* labels */, 12: whole /* annotations */}
	if owners {
		podMeta[13] = whole // ownerReferences
	}
	pod := fieldMask{
		1: podMeta,
		2: {4: whole /* terminationGracePeriodSeconds */, 10: whole /* nodeName */, 22: whole /* tolerations */, 25: whole /* priority */},
		3: status,
	}
	node := fieldMask{
		1: {1: whole /* name */, 5: whole /* uid */, 6: whole /* resourceVersion */, 8: whole, /* creationTimestamp */
			11: whole /* labels */, 12: whole /* annotations */, 17: whole /* managedFields */},
		2: {5: whole /* taints */},
		3: {4: whole /* conditions */},
	}
	enveloped := func(kept fieldMask) fieldMask {
		return fieldMask{unknownTypeMeta: whole, unknownRaw: kept, unknownEncoding: whole, unknownType: whole}
	}
	return map[string]fieldMask{
		"Pod": enveloped(pod), "PodList": enveloped(fieldMask{1: whole, 2: pod}),
		"Node": enveloped(node), "NodeList": enveloped(fieldMask{1: whole, 2: node}),
	}
}

const (
	// envelope is the prefix of all objects in protobuf. A runtime.Unknown follows.
	envelope = "k8s\x00"

	unknownTypeMeta, unknownRaw, unknownEncoding, unknownType = 1, 2, 3, 4
	typeMetaKind                                              = 2
)

// masked returns an object without the fields that are not kept of its kind. Data that is not a message, or of another
// kind, is returned unchanged for the decoder to judge.
func (s partialDecoder) masked(data []byte) []byte {
	message, ok := bytes.CutPrefix(data, []byte(envelope))
	if !ok {
		return data
	}
	kinds := s.kinds
	if bytes.Contains(message, []byte(v1.PodFailed)) { // a false match does no harm
		kinds = s.failed
	}
	kept, known := kinds[string(fieldOf(fieldOf(message, unknownTypeMeta), typeMetaKind))]
	if !known {
		return data
	}
	out, ok := kept.apply(append(make([]byte, 0, len(data)/4), envelope...), message)
	if !ok {
		return data
	}
	return out
}

// field is one field of a message: its tag, which has the given length, and its value.
type field struct {
	number   protowire.Number
	wireType protowire.Type
	tag      int
	raw      []byte
}

// cut splits the first field off a message. It returns false if there is none.
func cut(message []byte) (first field, rest []byte, ok bool) {
	number, wireType, tag := protowire.ConsumeTag(message)
	if tag < 0 {
		return field{}, nil, false
	}
	length := protowire.ConsumeFieldValue(number, wireType, message[tag:])
	if length < 0 {
		return field{}, nil, false
	}
	return field{number, wireType, tag, message[:tag+length]}, message[tag+length:], true
}

// content returns the string or message in a field, or false if the field holds another type.
func (f field) content() (content []byte, ok bool) {
	if f.wireType != protowire.BytesType {
		return nil, false
	}
	content, _ = protowire.ConsumeBytes(f.raw[f.tag:])
	return content, true
}

// fieldOf returns the content of the first field with a number, or nil.
func fieldOf(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		f, rest, ok := cut(message)
		if !ok {
			return nil
		}
		if content, ok := f.content(); ok && f.number == number {
			return content
		}
		message = rest
	}
	return nil
}

// apply appends what the mask keeps of a message to out. It returns false if the message is malformed.
func (s fieldMask) apply(out, message []byte) ([]byte, bool) {
	for len(message) > 0 {
		f, rest, ok := cut(message)
		if !ok {
			return nil, false
		}
		message = rest
		inner, kept := s[f.number]
		if !kept {
			continue
		}
		content, ok := f.content()
		if inner == nil || !ok {
			out = append(out, f.raw...)
			continue
		}
		out = append(out, f.raw[:f.tag]...)
		begin := len(out)
		if out, ok = inner.apply(out, content); !ok {
			return nil, false
		}
		out = slices.Insert(out, begin, protowire.AppendVarint(nil, uint64(len(out)-begin))...)
	}
	return out, true
}
