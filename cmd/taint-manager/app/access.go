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

package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// maxReviews is the number of requests that may wait for reviews of their callers by the API server. With the limits of
// reviewConfig and two reviews each, the last one waits for less than reviewTimeout.
const maxReviews = 20

// The timeout and the cache TTLs are those of Kubernetes' own components.
const (
	reviewTimeout     = 10 * time.Second
	authenticationTTL = 10 * time.Second
	authorizationTTL  = 10 * time.Second
)

// access authenticates and authorizes callers with the API server.
type access struct {
	authenticator.Request
	*pathAuthorizer
	// reviewing has an element for each request that is under review.
	reviewing chan struct{}
}

func newAccess(client kubernetes.Interface, clientCA dynamiccertificates.CAContentProvider) (*access, error) {
	retry := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}
	authenticatorfactory.RegisterMetrics()
	tokens, err := webhook.NewFromInterface(client.AuthenticationV1(), nil, retry, reviewTimeout, webhook.AuthenticatorMetrics{
		RecordRequestTotal:   authenticatorfactory.RecordRequestTotal,
		RecordRequestLatency: authenticatorfactory.RecordRequestLatency,
	})
	if err != nil {
		return nil, fmt.Errorf("delegated authentication: %w", err)
	}
	known := group.NewAuthenticatedGroupAdder(union.New(
		x509.NewDynamic(clientCA.VerifyOptions, x509.CommonNameUserConversion),
		bearertoken.New(cache.New(unlogged{tokens}, false, authenticationTTL, authenticationTTL)),
	))
	authorizer := newPathAuthorizer(client.AuthorizationV1().SubjectAccessReviews(), retry)
	return &access{union.NewFailOnError(known, anonymous.NewAuthenticator(nil)), authorizer, make(chan struct{}, maxReviews)}, nil
}

// unlogged authenticates a token without logging. From verbosity 8 the client logs its requests, which contain the token.
// The factory of Kubernetes' own components allows that, so it is not used here.
type unlogged struct{ authenticator.Token }

// AuthenticateToken authenticates the owner of a token.
func (u unlogged) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	return u.Token.AuthenticateToken(klog.NewContext(ctx, logr.Discard()), token)
}

// guard serves requests whose callers may get the path. Anyone may get the open paths.
func (a *access) guard(next http.Handler, open []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if slices.Contains(open, req.URL.Path) {
			next.ServeHTTP(w, req)
			return
		}
		if code, why := a.decide(req); code != http.StatusOK {
			if code == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "1")
			}
			http.Error(w, why, code)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// decide returns 200 if the caller may get the path, and otherwise another code and its meaning. It waits for the reviews
// that it began even if the caller disconnects, which bounds their number.
func (a *access) decide(req *http.Request) (code int, why string) {
	select {
	case a.reviewing <- struct{}{}:
		defer func() { <-a.reviewing }()
	default:
		return http.StatusTooManyRequests, "Too many requests are waiting for authentication"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), reviewTimeout)
	defer cancel()
	logger := klog.FromContext(ctx).V(2).WithValues("path", req.URL.Path)
	caller, ok, err := a.AuthenticateRequest(req.WithContext(ctx))
	if err != nil || !ok {
		logger.Info("Rejected an unauthenticated request", "error", fmt.Sprint(err))
		return http.StatusUnauthorized, "Unauthorized"
	}
	name, verb := caller.User.GetName(), strings.ToLower(req.Method)
	allowed, reason, err := a.may(ctx, caller.User, verb, req.URL.Path)
	if !allowed {
		logger.Info("Rejected an unauthorized request", "user", name, "reason", reason, "error", fmt.Sprint(err))
		return http.StatusForbidden, fmt.Sprintf("Forbidden: user %q cannot %s path %q", name, verb, req.URL.Path)
	}
	return http.StatusOK, ""
}
