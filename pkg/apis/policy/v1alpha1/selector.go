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

package v1alpha1

// LabelSelector selects objects by their labels, as the LabelSelector of other APIs does: an object is selected if it has all labels of
// matchLabels and satisfies all of matchExpressions.
//
// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) || has(self.matchExpressions)",message="an empty selector would select everything: fill it in, or leave it out if everything is meant"
type LabelSelector struct {
	// matchLabels are labels that an object must have, by key and value, from 1 to 32.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.indexOf('/') <= 253 && k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="each key must be the key of a label, such as app or example.com/app"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// matchExpressions are what an object must satisfy, from 1 to 16.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelValue is the value of a label or a taint. It may be empty.
//
// +kubebuilder:validation:MinLength=0
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",message="must be empty, or consist of letters, digits, '-', '_' and '.', with a letter or a digit at both ends"
type LabelValue string

// LabelSelectorOperator relates a key to values.
//
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type LabelSelectorOperator string

const (
	// OpIn selects objects whose label has one of the values.
	OpIn LabelSelectorOperator = "In"
	// OpNotIn selects objects whose label has none of the values, and those without the label.
	OpNotIn LabelSelectorOperator = "NotIn"
	// OpExists selects objects with the label.
	OpExists LabelSelectorOperator = "Exists"
	// OpDoesNotExist selects objects without the label.
	OpDoesNotExist LabelSelectorOperator = "DoesNotExist"
)

// LabelSelectorRequirement is what a label of an object must satisfy.
//
// +kubebuilder:validation:XValidation:rule="has(self.values) || self.operator in ['Exists', 'DoesNotExist']",fieldPath=".values",reason=FieldValueRequired,message="operators In and NotIn need values"
// +kubebuilder:validation:XValidation:rule="!has(self.values) || self.operator in ['In', 'NotIn']",fieldPath=".values",reason=FieldValueForbidden,message="operators Exists and DoesNotExist take no values: remove them, or use In or NotIn"
type LabelSelectorRequirement struct {
	// key is the key of the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="self.indexOf('/') <= 253 && self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')",message="must be the key of a label, such as app or example.com/app"
	Key string `json:"key,omitempty"`

	// operator relates the label to the values. In: its value is one of them. NotIn: its value is none of them, or the object has no
	// such label. Exists: the object has such a label. DoesNotExist: it has none.
	// +required
	Operator LabelSelectorOperator `json:"operator,omitempty"`

	// values are the values for In and NotIn, from 1 to 64. Exists and DoesNotExist take none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Values []LabelValue `json:"values,omitempty"`
}
