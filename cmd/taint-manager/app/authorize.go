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
	"encoding/json"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/util/webhook"
	typedauthorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
)

const (
	// maxAnswers is how many answers about who may get what are kept, and maxQuestion the length of a question, in bytes, from which on the answer is
	// not: a caller chooses the path. So they take a few megabytes at most.
	maxAnswers, maxQuestion = 1024, 4096
)

// pathAuthorizer asks the API server who may get which path, and keeps the answers for authorizationTTL.
//
// Package authorizerfactory of k8s.io/apiserver does the same, and more that is not needed here: conditions on which to ask at all, for which it
// brings CEL. That makes the image 2.5 MB larger.
type pathAuthorizer struct {
	reviews typedauthorizationv1.SubjectAccessReviewInterface
	retry   wait.Backoff
	answers *cache.LRUExpireCache
}

func newPathAuthorizer(reviews typedauthorizationv1.SubjectAccessReviewInterface, retry wait.Backoff) *pathAuthorizer {
	return &pathAuthorizer{reviews, retry, cache.NewLRUExpireCache(maxAnswers)}
}

// may reports whether a caller may do something with a path, and what the API server says why. With an error, which says that the API server does not
// answer, the caller may not.
func (a *pathAuthorizer) may(ctx context.Context, caller user.Info, verb, path string) (allowed bool, reason string, err error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range caller.GetExtra() {
		extra[key] = values
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: caller.GetName(), UID: caller.GetUID(), Groups: caller.GetGroups(), Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	}}
	question, err := json.Marshal(&review.Spec)
	if err != nil {
		return false, "", fmt.Errorf("encoding a SubjectAccessReview: %w", err)
	}
	status, known := a.answers.Get(string(question))
	if !known {
		var answer *authorizationv1.SubjectAccessReview
		if err := webhook.WithExponentialBackoff(ctx, a.retry, func() (err error) {
			answer, err = a.reviews.Create(ctx, review, metav1.CreateOptions{})
			return err
		}, webhook.DefaultShouldRetry); err != nil {
			return false, "", fmt.Errorf("reviewing access: %w", err)
		}
		if status = answer.Status; len(question) <= maxQuestion {
			a.answers.Add(string(question), status, authorizationTTL)
		}
	}
	is := status.(authorizationv1.SubjectAccessReviewStatus)
	return is.Allowed && !is.Denied, is.Reason, nil
}
