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

// NewClient returns a client that leaves out of pods and nodes, before it decodes them, what is not kept of them here. What
// it writes is complete, and so are all other kinds, and all that the API server sends in another encoding than protobuf.
//
// An API object is mostly container specs, managed fields and images: decoding them would be most of what a watch costs.
func NewClient(config *rest.Config) (typedcorev1.CoreV1Interface, error) {
	config = rest.CopyConfig(config)
	config.APIPath = "/api"
	config.GroupVersion = &v1.SchemeGroupVersion
	config.NegotiatedSerializer = sieving{rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()}
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client for pods and nodes: %w", err)
	}
	return typedcorev1.New(client), nil
}

// sieving is a serializer whose decoder for protobuf has a sieve before it.
type sieving struct{ runtime.NegotiatedSerializer }

func (s sieving) SupportedMediaTypes() []runtime.SerializerInfo {
	types := slices.Clone(s.NegotiatedSerializer.SupportedMediaTypes())
	for i := range types {
		if types[i].MediaType == runtime.ContentTypeProtobuf {
			types[i].Serializer = sievingSerializer{types[i].Serializer, kinds()}
		}
	}
	return types
}

type sievingSerializer struct {
	runtime.Serializer
	kinds map[string]sieve
}

func (s sievingSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	return s.Serializer.Decode(s.sifted(data), defaults, into)
}

// sieve has the fields of a message that are kept, by their numbers: whole, where there is no sieve for the field, or a message of
// which only some fields are kept.
//
// The numbers are those of the generated.proto files of k8s.io/api/core/v1 and of k8s.io/apimachinery, and part of the API.
type sieve map[protowire.Number]sieve

// kinds are what is kept of each kind: all that NewPod and newNode read, what reflectors read of bookmarks, and what
// evictions read of a pod that is live.
func kinds() map[string]sieve {
	var whole sieve
	pod := sieve{
		1: {1: whole /* name */, 3: whole /* namespace */, 5: whole /* uid */, 6: whole, /* resourceVersion */
			7: whole /* generation */, 8: whole /* creationTimestamp */, 9: whole /* deletionTimestamp */, 12: whole /* annotations */},
		2: {10: whole /* nodeName */, 22: whole /* tolerations */, 25: whole /* priority */},
		3: {1: whole /* phase */, 2: whole /* conditions */},
	}
	node := sieve{
		1: {1: whole /* name */, 5: whole /* uid */, 6: whole /* resourceVersion */, 8: whole, /* creationTimestamp */
			12: whole /* annotations */, 17: whole /* managedFields */},
		2: {5: whole /* taints */},
		3: {4: whole /* conditions */},
	}
	return map[string]sieve{"Pod": pod, "PodList": {1: whole, 2: pod}, "Node": node, "NodeList": {1: whole, 2: node}}
}

const (
	// envelope is how all objects begin in protobuf; then comes a runtime.Unknown.
	envelope = "k8s\x00"

	unknownTypeMeta, unknownRaw, unknownEncoding, unknownType = 1, 2, 3, 4
	typeMetaKind                                              = 2
)

// sifted is an object without what is not kept of its kind. What is no message, or of another kind, stays as it is, for the
// decoder to judge.
func (s sievingSerializer) sifted(data []byte) []byte {
	message, ok := bytes.CutPrefix(data, []byte(envelope))
	if !ok {
		return data
	}
	kept, known := s.kinds[string(fieldOf(fieldOf(message, unknownTypeMeta), typeMetaKind))]
	if !known {
		return data
	}
	outer := sieve{unknownTypeMeta: nil, unknownRaw: kept, unknownEncoding: nil, unknownType: nil}
	out, ok := outer.sift(append(make([]byte, 0, len(data)/4), envelope...), message)
	if !ok {
		return data
	}
	return out
}

// fieldOf is the first field of a message that has that number and is a string or message, or nil.
func fieldOf(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		n, wireType, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil
		}
		if n == number && wireType == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[size:])
			return value
		}
		length := protowire.ConsumeFieldValue(n, wireType, message[size:])
		if length < 0 {
			return nil
		}
		message = message[size+length:]
	}
	return nil
}

// sift appends to out what is kept of a message, or says that it is none.
func (s sieve) sift(out, message []byte) ([]byte, bool) {
	for len(message) > 0 {
		number, wireType, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return nil, false
		}
		length := protowire.ConsumeFieldValue(number, wireType, message[tag:])
		if length < 0 {
			return nil, false
		}
		field := message[:tag+length]
		message = message[tag+length:]
		inner, kept := s[number]
		switch {
		case !kept:
			continue
		case inner == nil || wireType != protowire.BytesType:
			out = append(out, field...)
			continue
		}
		value, _ := protowire.ConsumeBytes(field[tag:])
		out = append(out, field[:tag]...)
		begin := len(out)
		var ok bool
		if out, ok = inner.sift(out, value); !ok {
			return nil, false
		}
		out = slices.Insert(out, begin, protowire.AppendVarint(nil, uint64(len(out)-begin))...)
	}
	return out, true
}
