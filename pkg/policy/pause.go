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
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/deadline"
)

// PausedBy returns the name of the policy that holds all evictions for NoExecute taints at a time, or "" if none does: a policy of mode Keep
// and precedence 0 that selects nothing. Of several, it is the first by name.
func (s *Source) PausedBy(at time.Time) string { return s.set.pausedBy(at) }

func (s *set) pausedBy(at time.Time) (name string) {
	for _, policy := range s.states() {
		if p := &policy.applies; pauses(p) && !expired(p, at) && (name == "" || p.Name < name) {
			name = p.Name
		}
	}
	return name
}

// HoldsSince returns since when the oldest policy of mode Preview has been as it is, and the oldest of mode Keep and precedence 0, which is a pause,
// whatever it selects: of those that apply and do not expire. They are zero if there is none. Both modes are meant for a while, and may be
// forgotten; a policy of mode Keep and another precedence is a rule.
func (s *Source) HoldsSince() (preview, pause time.Time) {
	earliest := func(t *time.Time, since time.Time) {
		if t.IsZero() || since.Before(*t) {
			*t = since
		}
	}
	for _, policy := range s.set.states() {
		switch p := &policy.applies; {
		case !policy.accepted, !p.Expires.IsZero():
		case p.Mode == deadline.ModePreview:
			earliest(&preview, p.Since)
		case policy.isPause():
			earliest(&pause, p.Since)
		}
	}
	return preview, pause
}

// isPause reports whether a policy is a pause, whatever it selects.
func (s state) isPause() bool {
	return s.accepted && s.applies.Mode == deadline.ModeKeep && s.applies.precedence == 0
}

func pauses(p *compiled) bool {
	return p.Mode == deadline.ModeKeep && p.precedence == 0 && len(p.Taints) == 0 && p.Node == nil && p.Namespace == nil && p.Pod == nil
}

func expired(p *compiled, at time.Time) bool { return !p.Expires.IsZero() && !at.Before(p.Expires) }

// pauseLog is what has been logged of pauses: the policies of mode Keep and precedence 0, whatever they select.
type pauseLog struct {
	lock sync.Mutex
	on   map[string]loggedPause // by name
	// timer ends with the pause that expires next.
	timer *time.Timer
}

// loggedPause is a version of a policy that is a pause.
type loggedPause struct {
	uid        types.UID
	generation int64
	createdBy  string
}

// stop ends the timer.
func (l *pauseLog) stop() {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

// logPauses logs each pause that has begun or ended since the last call, with who made it and until when. It is called again when one expires.
func (s *Source) logPauses(ctx context.Context) {
	l := &s.pauses
	l.lock.Lock()
	defer l.lock.Unlock()
	if ctx.Err() != nil {
		return
	}
	now, states, on, next := time.Now(), s.set.states(), map[string]loggedPause{}, time.Time{}
	for name, policy := range states {
		if p := &policy.applies; policy.isPause() && !expired(p, now) {
			on[name] = loggedPause{policy.uid, policy.generation, policy.createdBy}
			if !p.Expires.IsZero() && (next.IsZero() || p.Expires.Before(next)) {
				next = p.Expires
			}
		}
	}
	for name, was := range l.on {
		logger := klog.FromContext(ctx).WithValues("policy", name, "createdBy", cmp.Or(was.createdBy, "unknown"))
		switch policy, exists := states[name]; {
		case exists && on[name].uid == was.uid: // goes on
		case !exists, policy.uid != was.uid:
			logger.Info("Pause is over", "because", "the policy is gone")
		case expired(&policy.applies, now):
			logger.Info("Pause is over", "because", "the policy has expired")
		default:
			logger.Info("Pause is over", "because", "the policy is of another mode or precedence now")
		}
	}
	for name, is := range on {
		if l.on[name] != is {
			states[name].logPause(ctx)
		}
	}
	if l.on = on; l.timer != nil {
		l.timer.Stop()
	}
	if !next.IsZero() {
		l.timer = time.AfterFunc(time.Until(next), func() { s.logPauses(ctx) })
	}
}

// logPause logs that a pause is on.
func (s state) logPause(ctx context.Context) {
	p, until := &s.applies, "its policy is deleted"
	if !p.Expires.IsZero() {
		until = p.ExpireTime.Format(time.RFC3339)
	}
	values := []any{"policy", p.Name, "createdBy", cmp.Or(s.createdBy, "unknown"), "until", until}
	if len(p.Taints) > 0 {
		values = append(values, "taints", describePatterns(p.Taints))
	}
	for _, selected := range []struct {
		key string
		by  labels.Selector
	}{{"nodes", p.Node}, {"namespaces", p.Namespace}, {"pods", p.Pod}} {
		if selected.by != nil {
			values = append(values, selected.key, selected.by.String())
		}
	}
	klog.FromContext(ctx).Info("Pause is on, holding evictions", values...)
}

// describePatterns returns patterns as key=value:effect, without the value if all match.
func describePatterns(patterns []deadline.TaintPattern) string {
	var all []string
	for _, pattern := range patterns {
		text := pattern.Key
		if pattern.Prefix {
			text += "*"
		}
		if pattern.Value != nil {
			text += "=" + *pattern.Value
		}
		all = append(all, text+":"+string(pattern.Effect))
	}
	return strings.Join(all, ", ")
}
