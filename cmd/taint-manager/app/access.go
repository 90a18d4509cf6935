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
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// undecided is how many requests may wait for the API server's word about their callers. At the limits of reviewConfig, with two
// reviews for each, the last one has waited for less than reviewTimeout.
const undecided = 20

// The timeout and the cache times are those of Kubernetes' own components.
const (
	reviewTimeout                  = 10 * time.Second
	authenticationTTL              = 10 * time.Second
	authorizedTTL, unauthorizedTTL = 10 * time.Second, 10 * time.Second
)

// access asks the API server who a caller is, and what it may do.
type access struct {
	authenticator.Request
	authorizer.Authorizer
	// undecided has an element for each request that is being decided.
	undecided chan struct{}
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
	authorizer, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             authorizedTTL,
		DenyCacheTTL:              unauthorizedTTL,
		WebhookRetryBackoff:       &retry,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("delegated authorization: %w", err)
	}
	known := group.NewAuthenticatedGroupAdder(union.New(
		x509.NewDynamic(clientCA.VerifyOptions, x509.CommonNameUserConversion),
		bearertoken.New(cache.New(unlogged{tokens}, false, authenticationTTL, authenticationTTL)),
	))
	return &access{union.NewFailOnError(known, anonymous.NewAuthenticator(nil)), authorizer, make(chan struct{}, undecided)}, nil
}

// unlogged has a token looked at without a word in the log: from verbosity 8 on the client would write down what it sends,
// which is the token. That is why this is put together here; the factory of Kubernetes' own components lets that happen.
type unlogged struct{ authenticator.Token }

// AuthenticateToken asks who has the token.
func (u unlogged) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	return u.Token.AuthenticateToken(klog.NewContext(ctx, logr.Discard()), token)
}

// guard lets those pass who may get the path. The open ones are for anyone.
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

// decide returns 200 where the caller may get the path, and otherwise another code and what it means. It does not end before the
// reviews that it began, even if the caller hangs up: their number stays bounded.
func (a *access) decide(req *http.Request) (code int, why string) {
	select {
	case a.undecided <- struct{}{}:
		defer func() { <-a.undecided }()
	default:
		return http.StatusTooManyRequests, "Too many requests of callers that are not known yet"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), reviewTimeout)
	defer cancel()
	logger := klog.FromContext(ctx).V(2).WithValues("path", req.URL.Path)
	caller, ok, err := a.AuthenticateRequest(req.WithContext(ctx))
	if err != nil || !ok {
		logger.Info("Refused a caller that is not known", "error", fmt.Sprint(err))
		return http.StatusUnauthorized, "Unauthorized"
	}
	name, verb := caller.User.GetName(), strings.ToLower(req.Method)
	decision, reason, err := a.Authorize(ctx, authorizer.AttributesRecord{User: caller.User, Verb: verb, Path: req.URL.Path})
	if decision != authorizer.DecisionAllow {
		logger.Info("Refused a caller", "user", name, "reason", reason, "error", fmt.Sprint(err))
		return http.StatusForbidden, fmt.Sprintf("Forbidden: user %q cannot %s path %q", name, verb, req.URL.Path)
	}
	return http.StatusOK, ""
}
