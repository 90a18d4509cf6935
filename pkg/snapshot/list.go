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

package snapshot

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// pageSize is the maximum number of objects in a page of a list.
const pageSize = 500

// List reads in pages the objects that options select, and returns what keep keeps of each, if it keeps something. What it keeps is all that
// stays in memory. The reader's progress names the resource. With an error, List returns what was read before.
func List[Kept, Object, L any, P interface {
	*L
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, r *Reader, resource string, options metav1.ListOptions, list func(context.Context, metav1.ListOptions) (P, error),
	keep func(*Object) (Kept, bool)) (all []Kept, err error) {
	err = pages(ctx, r, resource, options, func(ctx context.Context, options metav1.ListOptions) (metav1.ListInterface, int, error) {
		page, err := list(ctx, options)
		if err != nil {
			return nil, 0, err
		}
		n := 0
		err = meta.EachListItem(page, func(object runtime.Object) error {
			n++
			if kept, is := keep(any(object).(*Object)); is {
				all = append(all, kept)
			}
			return nil
		})
		return page, n, err
	}, func() { all = nil })
	return all, err
}

// Whole keeps an object as it is.
func Whole[Object any](object *Object) (Object, bool) { return *object, true }

// pages lists in pages. read reads one, and again begins from the beginning if one has expired.
func pages(ctx context.Context, r *Reader, resource string, options metav1.ListOptions,
	read func(context.Context, metav1.ListOptions) (metav1.ListInterface, int, error), again func()) error {
	options.Limit = pageSize
	for objects, tries := 0, 0; ; {
		page, n, err := read(ctx, options)
		switch {
		case apierrors.IsResourceExpired(err) && tries < 3:
			again()
			tries, objects, options.Continue = tries+1, 0, ""
			continue
		case err != nil:
			return fmt.Errorf("reading %s: %w", resource, err)
		}
		objects += n
		if r.Progress != nil {
			r.Progress(resource, objects)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}
