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

package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	kjson "sigs.k8s.io/json"

	"github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
	"github.com/taint-manager/taint-manager/pkg/deadline"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// compile returns a policy as the rules read it. seen is the local time at which it reached us. With an error, the result has the name,
// the precedence and the taints if these could be read, and nothing else: no taints stand for all.
//
// The API server has validated the object, but perhaps by another version of the CRD. So compile refuses whatever it would have to
// guess about: an unknown field or mode, a combination that means nothing.
func compile(object *unstructured.Unstructured, clock *serverclock.Clock, seen time.Time) (compiled, error) {
	broken := compiled{Policy: deadline.Policy{Name: object.GetName(), Mode: deadline.ModeKeep}}
	api := &v1alpha1.TaintEvictionPolicy{}
	if err := decode(object, api); err != nil {
		return broken, fmt.Errorf("it cannot be decoded: %w", err)
	}
	spec, path := &api.Spec, field.NewPath("spec")
	broken.precedence = ptr.Deref(spec.MatchingPrecedence, 0)
	taints, err := compileTaints(spec, path)
	if err != nil {
		return broken, err
	}
	broken.Taints = taints
	p := compiled{precedence: broken.precedence, Policy: deadline.Policy{
		Name: api.Name, Mode: deadline.Mode(spec.Mode), Taints: taints,
		MinTaintAge: ptr.Deref(spec.MinTaintAgeSeconds, 0), GracePeriod: spec.GracePeriodSeconds, Notice: spec.NoticeSeconds,
		Since: seen, Written: written(api),
	}}
	if spec.ExpireTime != nil {
		p.ExpireTime = spec.ExpireTime.UTC()
	}
	p.retime(clock)
	if err := errors.Join(compileMode(spec, &p.Policy, path), compileSelectors(spec, &p.Policy, path)); err != nil {
		return broken, err
	}
	return p, nil
}

// decode decodes an object, and refuses fields that are not known.
func decode(object *unstructured.Unstructured, into *v1alpha1.TaintEvictionPolicy) error {
	data, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(data, into)
	return errors.Join(append(strict, err)...)
}

// compileTaints returns what taints a policy matches.
func compileTaints(spec *v1alpha1.TaintEvictionPolicySpec, path *field.Path) ([]deadline.TaintPattern, error) {
	var patterns []deadline.TaintPattern
	for i, taint := range spec.Taints {
		pattern := deadline.TaintPattern{Key: taint.Key, Effect: taint.Effect, Value: (*string)(taint.Value)}
		if pattern.Effect == "" {
			pattern.Effect = v1.TaintEffectNoExecute
		}
		if prefix, ok := strings.CutSuffix(taint.Key, "*"); ok {
			pattern.Key, pattern.Prefix = prefix, true
		}
		at := path.Child("taints").Index(i)
		switch {
		case pattern.Key == "", pattern.Prefix && !strings.HasSuffix(pattern.Key, "/"):
			return nil, field.Invalid(at.Child("key"), taint.Key, "must be a key, or a prefix and an asterisk, such as example.com/*")
		case pattern.Effect == v1.TaintEffectNoExecute:
		case pattern.Effect != v1.TaintEffectNoSchedule:
			return nil, field.NotSupported(at.Child("effect"), taint.Effect, []v1.TaintEffect{v1.TaintEffectNoExecute, v1.TaintEffectNoSchedule})
		case pattern.Prefix, strings.HasPrefix(pattern.Key, "kubernetes.io/"), strings.Contains(pattern.Key, ".kubernetes.io/"):
			return nil, field.Invalid(at.Child("key"), taint.Key, "a NoSchedule taint needs an exact key that is not one of kubernetes.io")
		case spec.Mode != v1alpha1.ModeKeep && ptr.Deref(spec.MinTaintAgeSeconds, 0) < 5:
			return nil, field.Required(path.Child("minTaintAgeSeconds"), "must be 5 or more, because a taint has the effect NoSchedule")
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// compileMode sets how pods go.
func compileMode(spec *v1alpha1.TaintEvictionPolicySpec, p *deadline.Policy, path *field.Path) error {
	switch spec.Mode {
	case v1alpha1.ModeKeep:
	case v1alpha1.ModePreview, v1alpha1.ModeDelete, v1alpha1.ModeEvict:
		if ptr.Deref(spec.MatchingPrecedence, 0) == 0 {
			return field.Invalid(path.Child("matchingPrecedence"), 0, "0 is for mode Keep alone")
		}
	default:
		modes := []v1alpha1.Mode{v1alpha1.ModeDelete, v1alpha1.ModeEvict, v1alpha1.ModePreview, v1alpha1.ModeKeep}
		return field.NotSupported(path.Child("mode"), spec.Mode, modes)
	}
	if evicts := spec.Mode == v1alpha1.ModeDelete || spec.Mode == v1alpha1.ModeEvict; evicts && len(spec.Taints) == 0 {
		return field.Required(path.Child("taints"), "only Keep and Preview may leave them out")
	}
	if (spec.Mode == v1alpha1.ModeEvict) != (spec.Evict != v1alpha1.EvictOptions{}) {
		return field.Invalid(path.Child("evict"), spec.Evict, "goes with mode Evict, and with no other")
	}
	switch after := spec.Evict.DeleteAfter; {
	case spec.Mode != v1alpha1.ModeEvict, after == v1alpha1.Never:
	case after == v1alpha1.AfterSeconds && spec.Evict.DeleteAfterSeconds > 0:
		p.DeleteAfter = ptr.To(spec.Evict.DeleteAfterSeconds)
	default:
		return field.Invalid(path.Child("evict"), spec.Evict, "deleteAfter must be Never, or AfterSeconds with deleteAfterSeconds of 1 or more")
	}
	return nil
}

// compileSelectors sets what the policy selects.
func compileSelectors(spec *v1alpha1.TaintEvictionPolicySpec, p *deadline.Policy, path *field.Path) error {
	var errs []error
	for _, one := range []struct {
		to   *labels.Selector
		from *v1alpha1.LabelSelector
		path *field.Path
	}{
		{&p.Node, spec.NodeSelector, path.Child("nodeSelector")},
		{&p.Namespace, spec.NamespaceSelector, path.Child("namespaceSelector")},
		{&p.Pod, spec.PodSelector, path.Child("podSelector")},
	} {
		if one.from == nil {
			continue
		}
		selector, err := compileSelector(one.from, one.path)
		*one.to = selector
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func compileSelector(api *v1alpha1.LabelSelector, path *field.Path) (labels.Selector, error) {
	selector := labels.NewSelector()
	add := func(key string, operator selection.Operator, values []string, at *field.Path) error {
		requirement, err := labels.NewRequirement(key, operator, values, field.WithPath(at))
		if err == nil {
			selector = selector.Add(*requirement)
		}
		return err
	}
	var errs []error
	for key, value := range api.MatchLabels {
		errs = append(errs, add(key, selection.Equals, []string{string(value)}, path.Child("matchLabels")))
	}
	operators := map[v1alpha1.LabelSelectorOperator]selection.Operator{
		v1alpha1.OpIn: selection.In, v1alpha1.OpNotIn: selection.NotIn, v1alpha1.OpExists: selection.Exists, v1alpha1.OpDoesNotExist: selection.DoesNotExist,
	}
	for i, expression := range api.MatchExpressions {
		values := make([]string, 0, len(expression.Values))
		for _, value := range expression.Values {
			values = append(values, string(value))
		}
		errs = append(errs, add(expression.Key, operators[expression.Operator], values, path.Child("matchExpressions").Index(i)))
	}
	return selector, errors.Join(errs...)
}

// written returns when the policy came to be as it is: the API server's time of the last write of its spec, or zero if that is not known.
func written(api *v1alpha1.TaintEvictionPolicy) time.Time {
	var written time.Time
	for i := range api.ManagedFields {
		if entry := &api.ManagedFields[i]; entry.Subresource == "" && entry.Time != nil && ownsSpec(entry.FieldsV1) && entry.Time.After(written) {
			written = entry.Time.Time
		}
	}
	if written.IsZero() {
		return written
	}
	return written.Add(time.Second) // the API cuts to seconds: nobody goes up to a second early
}

// ownsSpec reports whether a set of fields contains something of the spec. A set that cannot be parsed may.
func ownsSpec(fields *metav1.FieldsV1) bool {
	if fields == nil {
		return false
	}
	var owned struct {
		Spec json.RawMessage `json:"f:spec"`
	}
	return json.Unmarshal(fields.GetRawBytes(), &owned) != nil || owned.Spec != nil
}
