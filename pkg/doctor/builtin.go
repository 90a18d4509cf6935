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

package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

const (
	// builtInName is the name of the built-in controller, in the flag of kube-controller-manager and as the reporter of its Events.
	builtInName = "taint-eviction-controller"
	// builtInRecent is how long ago an Event of it may be to show that it is on.
	builtInRecent = 10 * time.Minute
	switchOff     = "Switch it off: --controllers=*,-" + builtInName + " on every kube-controller-manager. Two controllers evict by different rules, and the earlier one wins."
)

// checkBuiltIn looks for the built-in controller: in the flags of kube-controller-manager, or else in Events.
func checkBuiltIn(c *Cluster) []Finding { return besideDryRun(c, builtIn(c)) }

func builtIn(c *Cluster) []Finding {
	const check = "BuiltInController"
	var on, off []string
	for i := range c.ControllerManagers.Value {
		pod := &c.ControllerManagers.Value[i]
		switch enabled, known := runsBuiltIn(pod); {
		case known && enabled:
			on = append(on, pod.Namespace+"/"+pod.Name)
		case known:
			off = append(off, pod.Namespace+"/"+pod.Name)
		}
	}
	switch {
	case len(on) > 0:
		return []Finding{{Error, check, "The built-in controller is on, by the flags of kube-controller-manager.", switchOff, on}}
	case len(off) > 0:
		return []Finding{{OK, check, "The built-in controller is off, by the flags of kube-controller-manager.", "", off}}
	case c.Evictions.Err != nil:
		return unread(check, "the pods of kube-controller-manager are not visible, and Events", c.Evictions.Err)
	}
	var last time.Time
	about := ""
	for i := range c.Evictions.Value {
		if e := &c.Evictions.Value[i]; e.By == builtInName && e.Last.After(last) {
			last, about = e.Last, e.Namespace+"/"+e.Pod
		}
	}
	const unseen = "The pods of kube-controller-manager are not visible"
	switch {
	case last.IsZero():
		return []Finding{{Unknown, check, unseen + ", and no recent Event is by the built-in controller. That shows nothing if no pod had to go.",
			"Ask whoever runs the control plane whether " + builtInName + " is switched off.", nil}}
	case c.now().Sub(last) > builtInRecent:
		return []Finding{{Warning, check, fmt.Sprintf("%s, but the built-in controller evicted pod %s %s.", unseen, about, ago(c.now(), last)),
			"If it has not been switched off since: " + switchOff, nil}}
	default:
		return []Finding{{Error, check, fmt.Sprintf("%s, but the built-in controller evicted pod %s %s.", unseen, about, ago(c.now(), last)), switchOff, nil}}
	}
}

// runsBuiltIn reports whether a pod of kube-controller-manager runs the built-in controller, and false if the pod does not show its flags.
func runsBuiltIn(pod *v1.Pod) (enabled, known bool) {
	for i := range pod.Spec.Containers {
		words := commandLine(&pod.Spec.Containers[i])
		if !slices.ContainsFunc(words, func(word string) bool { return path.Base(word) == "kube-controller-manager" }) {
			continue
		}
		return inList(listFlag(words, "controllers"), builtInName), true
	}
	return false, false
}

// commandLine returns the words of a container's command. A shell's script is taken apart, too.
func commandLine(container *v1.Container) (words []string) {
	for _, part := range slices.Concat(container.Command, container.Args) {
		for word := range strings.FieldsSeq(part) {
			words = append(words, strings.Trim(word, `"'`))
		}
	}
	return words
}

// listFlag returns the values of a flag that is a list and may be repeated.
func listFlag(words []string, name string) (values []string) {
	for i, word := range words {
		value, isFlag := strings.CutPrefix(word, "--"+name)
		switch {
		case !isFlag:
		case strings.HasPrefix(value, "="):
			values = append(values, strings.Split(strings.Trim(value[1:], `"'`), ",")...)
		case value == "" && i+1 < len(words):
			values = append(values, strings.Split(words[i+1], ",")...)
		}
	}
	return values
}

// inList reports whether a list of controllers switches one on that is on by default, as kube-controller-manager reads it.
func inList(list []string, name string) bool {
	if len(list) == 0 {
		return true // the default is *
	}
	for _, one := range list {
		switch one {
		case name:
			return true
		case "-" + name:
			return false
		}
	}
	return slices.Contains(list, "*")
}
