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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// listed lists objects in pages.
func listed[L, T any, P interface {
	*L
	runtime.Object
}](ctx context.Context, labels, fields string, list func(context.Context, metav1.ListOptions) (P, error)) (all []T, err error) {
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return list(ctx, options)
	})
	err = pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: labels, FieldSelector: fields}, func(object runtime.Object) error {
		all = append(all, *any(object).(*T))
		return nil
	})
	return all, err
}
