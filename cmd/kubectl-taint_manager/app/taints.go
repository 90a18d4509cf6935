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
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/pkg/explain"
)

// parseTaints parses taints as kubectl taint takes them: key=value:effect or key:effect.
func parseTaints(texts []string) ([]v1.Taint, error) {
	taints := make([]v1.Taint, 0, len(texts))
	for _, text := range texts {
		pattern, err := parsePattern("--taint", text)
		switch {
		case err != nil:
			return nil, err
		case pattern.Effect == v1.TaintEffectPreferNoSchedule:
			return nil, usagef("--taint %s: this effect evicts no pod: use NoExecute", text)
		case pattern.Effect == "":
			return nil, usagef("--taint %s: has no effect: write %s:NoExecute", text, text)
		}
		taints = append(taints, v1.Taint{Key: pattern.Key, Value: ptr.Deref(pattern.Value, ""), Effect: pattern.Effect})
	}
	return taints, nil
}

// parsePatterns parses taints to remove: key, key=value, key:effect or key=value:effect. A dash at the end, as kubectl taint has it, is allowed.
func parsePatterns(texts []string) ([]explain.TaintPattern, error) {
	patterns := make([]explain.TaintPattern, 0, len(texts))
	for _, text := range texts {
		pattern, err := parsePattern("--remove", strings.TrimSuffix(text, "-"))
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

func parsePattern(flag, text string) (explain.TaintPattern, error) {
	var pattern explain.TaintPattern
	identity, effect, hasEffect := strings.Cut(text, ":")
	key, value, hasValue := strings.Cut(identity, "=")
	pattern.Key = key
	if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
		return pattern, usagef("%s %s: %q is not the key of a taint: %s", flag, text, key, strings.Join(wrong, "; "))
	}
	if hasValue {
		if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
			return pattern, usagef("%s %s: %q is not the value of a taint: %s", flag, text, value, strings.Join(wrong, "; "))
		}
		pattern.Value = &value
	}
	if pattern.Effect = v1.TaintEffect(effect); !hasEffect {
		return pattern, nil
	}
	switch pattern.Effect {
	case v1.TaintEffectNoExecute, v1.TaintEffectNoSchedule, v1.TaintEffectPreferNoSchedule:
		return pattern, nil
	default:
		return pattern, usagef("%s %s: %q is no effect: use NoExecute, or NoSchedule where a policy has it evict", flag, text, effect)
	}
}
