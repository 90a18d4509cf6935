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
	"bytes"
	"fmt"
	"io"
	"mime"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	restwatch "k8s.io/client-go/rest/watch"
)

// stream is a watch on its way through the proxy. The frames of the API server are passed on as they are; further ones can be
// sent between them.
type stream struct {
	upstream io.ReadCloser
	reader   *io.PipeReader
	// listed says that the list at the beginning, if there is one, is over.
	listed atomic.Bool
	// ended is called when nobody reads the stream any more.
	ended func()

	mu      sync.Mutex // held while a frame is written
	writer  *io.PipeWriter
	buffer  bytes.Buffer
	frames  io.Writer // puts a frame into the buffer
	encoder *restwatch.Encoder
}

// newStream takes over the body of a watch's response.
func newStream(contentType string, upstream io.ReadCloser, listing bool, ended func(*stream)) (*stream, error) {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("content type %q of a watch: %w", contentType, err)
	}
	codecs := scheme.Codecs.WithoutConversion()
	info, known := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
	if !known || info.StreamSerializer == nil {
		return nil, fmt.Errorf("content type %q of a watch: not one that this can write", contentType)
	}
	s := &stream{upstream: upstream}
	s.ended = sync.OnceFunc(func() { ended(s) })
	s.listed.Store(!listing)
	s.reader, s.writer = io.Pipe()
	s.frames = info.StreamSerializer.NewFrameWriter(&s.buffer)
	s.encoder = restwatch.NewEncoder(
		streaming.NewEncoder(s.frames, codecs.EncoderForVersion(info.StreamSerializer.Serializer, v1.SchemeGroupVersion)),
		codecs.EncoderForVersion(info.Serializer, v1.SchemeGroupVersion))
	go s.pass(streaming.NewDecoder(info.StreamSerializer.NewFrameReader(upstream), verbatim{}))
	return s, nil
}

// pass passes on the frames of the API server until there are no more.
func (s *stream) pass(frames streaming.Decoder) {
	for {
		var frame runtime.Unknown
		_, _, err := frames.Decode(nil, &frame)
		if err != nil {
			_ = s.writer.CloseWithError(err) // io.EOF is a regular end; it has no errors of its own
			return
		}
		if err := s.write(func() error { _, err := s.frames.Write(frame.Raw); return err }); err != nil {
			return // nobody reads any more
		}
		if !s.listed.Load() && bytes.Contains(frame.Raw, []byte(metav1.InitialEventsAnnotationKey)) {
			s.listed.Store(true)
		}
	}
}

// send puts an event of ours into the stream, and returns when the frame has been taken.
func (s *stream) send(event *watch.Event) error {
	return s.write(func() error { return s.encoder.Encode(event) })
}

// write writes what a function puts into the buffer in one piece.
func (s *stream) write(fill func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffer.Reset()
	if err := fill(); err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	if _, err := s.writer.Write(s.buffer.Bytes()); err != nil {
		return fmt.Errorf("writing into a watch: %w", err)
	}
	return nil
}

// Read reads whole frames, if there is room for them: no frame is in one piece with a part of another.
func (s *stream) Read(to []byte) (int, error) { return s.reader.Read(to) }

// Close ends the stream. The one who reads calls it.
func (s *stream) Close() error {
	s.ended()
	_ = s.reader.Close() // it has no errors
	return s.upstream.Close()
}

// verbatim leaves a frame as it is.
type verbatim struct{}

func (verbatim) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	into.(*runtime.Unknown).Raw = data
	return into, nil, nil
}
