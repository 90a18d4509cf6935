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
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/taint-manager/taint-manager/pkg/apis/config/v1alpha1"
)

// validate returns all that is wrong with a configuration.
func validate(c *v1alpha1.TaintManagerConfiguration) field.ErrorList {
	errs := v1alpha1.Validate(c)
	errs = append(errs, validateGates(c.FeatureGates, field.NewPath("featureGates"))...)
	gate := newFeatureGate()
	_ = setGates(gate, c.FeatureGates) // validateGates has said what is wrong
	return append(errs, logsapi.Validate(&c.Logging, gate, field.NewPath("logging"))...)
}

// validateGates returns an error for each feature gate that cannot be set.
func validateGates(gates map[string]bool, path *field.Path) (errs field.ErrorList) {
	for _, name := range slices.Sorted(maps.Keys(gates)) {
		if err := newFeatureGate().SetFromMap(map[string]bool{name: gates[name]}); err != nil {
			errs = append(errs, field.Invalid(path.Key(name), gates[name], err.Error()))
		}
	}
	return errs
}

// setGates sets the feature gates that exist.
func setGates(gate featuregate.MutableVersionedFeatureGate, gates map[string]bool) error {
	known := gate.GetAll()
	gates = maps.Clone(gates)
	maps.DeleteFunc(gates, func(name string, _ bool) bool {
		_, exists := known[featuregate.Feature(name)]
		return !exists
	})
	return gate.SetFromMap(gates)
}

// Validate returns all errors in the options. Each names the flag that sets the value, or the file and the line of the field.
func (o *Options) Validate() (errs []error) {
	c, err := o.configuration()
	if err != nil {
		return []error{err}
	}
	for _, wrong := range validate(c) {
		flag := flagOf(wrong.Field)
		switch {
		case o.file == nil || o.given.Has(flag):
			errs = append(errs, flagError(flag, wrong))
		case !o.file.wrong[wrong.Field]: // has not been said yet
			errs = append(errs, o.file.errorAt(o.file.lines.Of(wrong.Field), wrong))
		}
	}
	return errs
}

// flagError returns an error that names flags where the original one names fields.
func flagError(flag string, wrong *field.Error) error {
	if flag == "" {
		return wrong
	}
	value := wrong.BadValue
	if duration, ok := value.(metav1.Duration); ok {
		value = duration.Duration
	}
	flags := flagsByField()
	var names []string
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(flags))) { // a name comes after those that begin with it
		names = append(names, name, "--"+flags[name])
	}
	detail := strings.NewReplacer(names...).Replace(wrong.Detail)
	switch {
	case detail == "":
		detail = wrong.Type.String()
	case wrong.Type == field.ErrorTypeForbidden: // which has no value
		return fmt.Errorf("--%s: %s", flag, detail)
	}
	return fmt.Errorf("--%s=%v: %s", flag, value, detail)
}
