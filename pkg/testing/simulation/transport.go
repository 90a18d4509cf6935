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

package simulation

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/taint-manager/taint-manager/pkg/testing/apitest"
)

// silence is how long a client waits for a connection that says nothing, as HTTP/2 pings have it.
const silence = 45 * time.Second

// transport is between a replica and the model. It is an http.RoundTripper.
type transport struct{ *replica }

// RoundTrip has a request take its course. The checks see what happens. Every answer has the Date of the API server's clock, as
// it was when the API server answered.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	answer, err := t.roundTrip(req)
	if answer != nil {
		t.sim.api.Date(answer)
		t.dated(answer)
	}
	return answer, err
}

func (t transport) roundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	c, err := newCall(req)
	if err != nil {
		return nil, err
	}
	f := t.treat(c)
	if err := t.pause(ctx, f.connecting); err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.sent = time.Now()
	t.sending(c, f)
	defer t.underWay(c)()
	if c.reads() {
		return t.read(ctx, c, f)
	}
	if err := t.pause(ctx, f.before); err != nil || f.manner == late {
		if f.manner >= late { // it is on its way all the same
			go func() {
				time.Sleep(f.before + f.after)
				_, _ = t.effect(c) // nobody hears of it
			}()
		}
		return t.nothing(ctx, err)
	}
	switch f.manner {
	case refused:
		t.answered(c, reply{code: int(f.refusal.Status().Code)})
		return apitest.Failure(f.refusal), nil
	case unsent:
		return nil, errReset
	case hanging:
		return t.nothing(ctx, nil)
	}
	answer, err := t.effect(c)
	if err != nil {
		return nil, err
	}
	if err := t.pause(ctx, f.after); err != nil {
		return nil, err
	}
	switch f.manner {
	case lost:
		return nil, errReset
	case silent:
		return t.nothing(ctx, nil)
	}
	return t.answer(c, f, answer)
}

// read has a list or watch take its course.
func (t transport) read(ctx context.Context, c *call, f treatment) (*http.Response, error) {
	if err := t.pause(ctx, f.before); err != nil {
		return nil, err
	}
	switch f.manner {
	case well, truncated:
	case refused:
		t.answered(c, reply{code: int(f.refusal.Status().Code)})
		return apitest.Failure(f.refusal), nil
	case unsent, lost:
		return nil, errReset
	default:
		return t.nothing(ctx, nil)
	}
	if c.streamsList && t.sim.plan.noStreaming {
		return apitest.Failure(apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)), nil
	}
	if c.watch {
		ctx, cut := context.WithCancel(ctx)
		context.AfterFunc(t.life, cut)
		t.opened(c)
		req, err := c.request(ctx, t.name)
		if err != nil {
			cut()
			return nil, err
		}
		return t.sim.api.RoundTrip(req)
	}
	answer, err := t.effect(c)
	if err != nil {
		return nil, err
	}
	if err := t.pause(ctx, f.after); err != nil {
		return nil, err
	}
	return t.answer(c, f, answer)
}

// effect has the model do what is asked for, and the checks judge it.
func (t transport) effect(c *call) (*http.Response, error) {
	req, err := c.request(context.Background(), t.name)
	if err != nil {
		return nil, err
	}
	answer, err := t.sim.api.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	t.happened(c, reply{answer.StatusCode, body})
	return answer, nil
}

// answer gives the client the answer, or its half.
func (t transport) answer(c *call, f treatment, answer *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if f.manner == truncated {
		answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), brokenReader{}))
		return answer, nil
	}
	t.answered(c, reply{answer.StatusCode, body})
	return answer, nil
}

// brokenReader is where a connection ends.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// pause waits, or returns why the client waits no more.
func (t transport) pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.life.Done():
		return errReset
	case <-timer.C:
		return nil
	}
}

// nothing lets the client wait until it gives up.
func (t transport) nothing(ctx context.Context, err error) (*http.Response, error) {
	if err == nil {
		err = t.pause(ctx, silence)
	}
	if err == nil {
		err = errReset
	}
	return nil, err
}
