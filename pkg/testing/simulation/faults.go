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
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errReset is what a client sees of a connection that ends.
var errReset = errors.New("connection reset by peer")

// manner is what becomes of a request.
type manner int

const (
	well manner = iota
	// refused: the API server answers with an error, and nothing happens.
	refused
	// unsent: the connection ends before the request arrives.
	unsent
	// hanging: no answer comes, and nothing happens.
	hanging
	// late: no answer comes, and what was asked for happens after a while.
	late
	// lost: what was asked for happens, and the connection ends before the answer.
	lost
	// silent: what was asked for happens, and no answer comes.
	silent
	// truncated: what was asked for happens, and the connection ends within the answer.
	truncated
	manners
)

func (m manner) String() string {
	return [...]string{"well", "refused", "unsent", "hanging", "late", "lost", "silent", "truncated"}[m]
}

// treatment is what becomes of one request.
type treatment struct {
	manner
	// connecting is the time until there is a connection, before and after are those to and from the API server.
	connecting, before, after time.Duration
	refusal                   *apierrors.StatusError
}

// profile is how bad the network and the API server are.
type profile struct {
	// faults and cuts are the shares of requests that fail, and of watch events in which the connection ends.
	faults, cuts float64
	// slow is the share of requests that take up to seconds.
	slow float64
}

func profiles() []profile {
	return []profile{{}, {0.03, 0.01, 0.03}, {0.15, 0.03, 0.1}, {0.5, 0.1, 0.3}, {0.9, 0.2, 0.3}}
}

// dice are a source of chance for one thing that happens for the n-th time.
func dice(seed uint64, what string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(what)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()+uint64(n)*0x9e3779b97f4a7c15))
}

// drawTreatment decides about a request.
func drawTreatment(r *rand.Rand, p profile, method string) treatment {
	f := treatment{
		before: time.Microsecond + time.Duration(r.Int64N(int64(8*time.Millisecond))),
		after:  time.Microsecond + time.Duration(r.Int64N(int64(4*time.Millisecond))),
	}
	if r.Float64() < p.slow {
		slow := []*time.Duration{&f.connecting, &f.before, &f.after}[r.IntN(3)]
		*slow += time.Duration(r.Int64N(int64([]time.Duration{100 * time.Millisecond, 2 * time.Second, 15 * time.Second}[r.IntN(3)])))
	}
	if r.Float64() < p.faults {
		f.manner = manner(r.IntN(int(manners)-1)) + 1
		if r.IntN(2) == 0 {
			f.manner = refused
		}
	}
	f.refusal = refusal(r, method)
	return f
}

// refusal is an error that an API server, or something before it, may answer.
func refusal(r *rand.Rand, method string) *apierrors.StatusError {
	all := []*apierrors.StatusError{
		apierrors.NewConflict(v1.Resource("pods"), "x", errReset),
		apierrors.NewResourceExpired("too old"),
		apierrors.NewTooManyRequests("slow down", 1+r.IntN(40)),
		apierrors.NewTooManyRequests("slow down", 0),
		apierrors.NewInternalError(errReset),
		apierrors.NewServiceUnavailable("away"),
		apierrors.NewTimeoutError("etcd", 0),
		apierrors.NewForbidden(v1.Resource("pods"), "x", errReset),
		apierrors.NewUnauthorized("who are you"),
		{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusBadGateway, Message: "a proxy"}},
		{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusNotFound, Message: "a proxy knows no such path", Reason: metav1.StatusReasonNotFound,
		}},
	}
	if method == http.MethodPatch {
		all = append(all, apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("Pod").GroupKind(), "x", nil), apierrors.NewBadRequest("a webhook denies it"))
	}
	return all[r.IntN(len(all))]
}
