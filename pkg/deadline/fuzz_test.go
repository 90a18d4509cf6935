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

package deadline

import (
	"math/big"
	"strconv"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// input reads small choices out of a fuzzer's bytes. Small alphabets make taints and tolerations meet.
type input struct{ data []byte }

func (in *input) next(n int) int {
	if len(in.data) == 0 {
		return 0
	}
	b := in.data[0]
	in.data = in.data[1:]
	return int(b) % n
}

func (in *input) pick(choices ...string) string { return choices[in.next(len(choices))] }

var (
	fuzzKeys   = []string{"", "a", "b", v1.TaintNodeNotReady, v1.TaintNodeUnreachable}
	fuzzValues = []string{"", "x", "5", "-5", "05", "9223372036854775808"}
	fuzzOps    = []string{"", "Exists", "Equal", "Lt", "Gt", "Near"}
)

func (in *input) toleration(seconds int64) v1.Toleration {
	t := v1.Toleration{
		Key:      in.pick(fuzzKeys...),
		Operator: v1.TolerationOperator(in.pick(fuzzOps...)),
		Value:    in.pick(fuzzValues...),
		Effect:   v1.TaintEffect(in.pick("", "NoExecute", "NoSchedule")),
	}
	switch in.next(5) {
	case 0:
	case 1:
		t.TolerationSeconds = &seconds
	default:
		n := int64(in.next(100)) - 5
		t.TolerationSeconds = &n
	}
	return t
}

// oracle implements the rules a second time, as plainly as possible: in big integers of nanoseconds, and with its own
// matching of tolerations.
func oracle(pod Pod, taints []Taint, rules Rules) *big.Int {
	if pod.Mirror || pod.Terminating || (pod.Finished && !rules.EvictFinished) {
		return nil
	}
	var earliest *big.Int
	for _, taint := range taints {
		if d := oracleTaint(pod, taint, rules); d != nil && (earliest == nil || d.Cmp(earliest) < 0) {
			earliest = d
		}
	}
	return earliest
}

func oracleTaint(pod Pod, taint Taint, rules Rules) *big.Int {
	seconds := oracleSeconds(pod, taint.Key, taint, rules)
	own := latestOf(nanos(taint.Start), nanos(pod.Bound))
	if taint.Period.IsZero() {
		return expressible(plus(own, seconds))
	}
	others := map[string]string{v1.TaintNodeNotReady: v1.TaintNodeUnreachable, v1.TaintNodeUnreachable: v1.TaintNodeNotReady}
	other := oracleSeconds(pod, others[taint.Key], taint, rules)
	period := latestOf(nanos(taint.Period), nanos(pod.Bound))
	inner := expressible(plus(own, seconds))
	if byPeriod := expressible(plus(period, latestOrNever(seconds, other))); inner == nil || (byPeriod != nil && byPeriod.Cmp(inner) < 0) {
		inner = byPeriod
	}
	return expressible(latestOrNever(plus(period, seconds), inner))
}

// oracleSeconds returns for how long a taint is tolerated under a key, in nanoseconds, or nil for ever.
func oracleSeconds(pod Pod, key string, taint Taint, rules Rules) *big.Int {
	taint.Key = key
	for _, toleration := range pod.Tolerations {
		if !oracleTolerates(toleration, taint, rules) {
			continue
		}
		if toleration.TolerationSeconds == nil {
			return nil
		}
		return new(big.Int).Mul(big.NewInt(max(0, *toleration.TolerationSeconds)), big.NewInt(1e9))
	}
	return new(big.Int)
}

func plus(a, b *big.Int) *big.Int {
	if a == nil || b == nil {
		return nil
	}
	return new(big.Int).Add(a, b)
}

func latestOf(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

// latestOrNever returns the later of two times, where nil means never.
func latestOrNever(a, b *big.Int) *big.Int {
	if a == nil || b == nil {
		return nil
	}
	return latestOf(a, b)
}

// expressible is never for what is past the year 9999.
func expressible(t *big.Int) *big.Int {
	if t == nil || t.Cmp(nanos(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))) >= 0 {
		return nil
	}
	return t
}

func oracleTolerates(toleration v1.Toleration, taint Taint, rules Rules) bool {
	effect := toleration.Effect == "" || toleration.Effect == "NoExecute" || toleration.Effect == taint.Effect
	key := toleration.Key == "" || toleration.Key == taint.Key
	var value bool
	switch toleration.Operator {
	case "Exists":
		value = true
	case "", "Equal":
		value = toleration.Value == taint.Value
	case "Lt", "Gt":
		want, ok := oracleNumber(toleration.Value)
		have, also := oracleNumber(taint.Value)
		less := have < want
		value = rules.ComparisonOperators && ok && also && have != want && less == (toleration.Operator == "Lt")
	}
	return effect && key && value
}

// oracleNumber reads a number as the API demands it: decimal, without leading zeros, of 64 bits.
func oracleNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == s
}

func nanos(t time.Time) *big.Int {
	n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
	return n.Add(n, big.NewInt(int64(t.Nanosecond())))
}

// FuzzDecide compares Decide with the oracle.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{}, int64(0), int64(0), int64(0))
	f.Add([]byte{0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 2}, int64(300), int64(1e9), int64(-1))
	f.Add([]byte{8, 3, 3, 0, 4, 0, 2, 3, 1, 0, 1, 1, 4, 1, 0, 1, 4}, int64(18446744074), int64(5), int64(7))
	f.Add([]byte{9, 2, 1, 2, 2, 3, 1, 3, 2, 1, 9}, int64(1<<62), int64(1), int64(1<<61))
	f.Fuzz(func(t *testing.T, data []byte, seconds, started, bound int64) {
		in := &input{data}
		flags := in.next(64)
		pod := Pod{
			Bound:  fuzzTime(bound),
			Mirror: flags == 1, Terminating: flags == 2, Finished: flags&8 != 0,
		}
		rules := Rules{ComparisonOperators: flags&16 != 0, EvictFinished: flags&32 != 0}
		taints := make([]Taint, in.next(4))
		for i := range taints {
			taints[i] = Taint{Key: in.pick(fuzzKeys...), Value: in.pick(fuzzValues...), Start: fuzzTime(started).Add(time.Duration(in.next(50)) * time.Second)}
			if taints[i].Key == v1.TaintNodeNotReady || taints[i].Key == v1.TaintNodeUnreachable {
				taints[i].Period = taints[i].Start.Add(-time.Duration(in.next(400)) * time.Second)
			}
		}
		for range in.next(6) {
			pod.Tolerations = append(pod.Tolerations, in.toleration(seconds))
		}
		plain := rules
		rules.Policies = in.policies(started)
		checkPolicies(t, pod, taints, rules)
		rules = plain
		got, want := Decide(pod, taints, rules), oracle(pod, taints, rules)
		if got.Evict != (want != nil) || (want != nil && nanos(got.Deadline).Cmp(want) != 0) {
			t.Errorf("pod %+v\ntaints %+v\nrules %+v\ngot %+v\nwant %v", pod, taints, rules, got, want)
		}
		if got.Evict && got.Due(got.Deadline.Add(-1)) {
			t.Errorf("due before its deadline: %+v", got)
		}
	})
}

// policies reads a few policies whose times are close to each other.
func (in *input) policies(started int64) []Policy {
	policies := make([]Policy, in.next(4))
	soon := func() time.Time { return fuzzTime(started).Add(time.Duration(in.next(200)) * time.Second) }
	for i := range policies {
		p := &policies[i]
		p.Mode = Mode(in.pick("Delete", "Evict", "Preview", "Keep"))
		p.MinTaintAge, p.Since = int64(in.next(3)*20), soon()
		if in.next(2) == 1 {
			p.Expires = soon()
		}
		if in.next(2) == 1 {
			p.DeleteAfter = ptr.To(int64(in.next(100)))
		}
		for range in.next(3) {
			pattern := TaintPattern{Key: in.pick("a", "b", v1.TaintNodeNotReady), Effect: v1.TaintEffect(in.pick("NoExecute", "NoSchedule"))}
			if in.next(3) == 1 {
				pattern.Value = ptr.To(in.pick(fuzzValues...))
			}
			p.Taints = append(p.Taints, pattern)
		}
	}
	return policies
}

// checkPolicies compares the decision with the oracle at each time at which something may change, and right before.
func checkPolicies(t *testing.T, pod Pod, taints []Taint, rules Rules) {
	if pod.Mirror || pod.Terminating || (pod.Finished && !rules.EvictFinished) {
		return
	}
	for i := range taints {
		if i%2 == 1 {
			taints[i].Effect = v1.TaintEffectNoSchedule
			defer func() { taints[i].Effect = "" }()
		}
	}
	decision := Decide(pod, taints, rules)
	times := []time.Time{{}}
	if decision.Evict {
		times = append(times, decision.Deadline)
	}
	for _, step := range decision.Then {
		times = append(times, step.From)
	}
	for _, taint := range taints {
		for seconds := range 20 {
			times = append(times, taint.Start.Add(time.Duration(seconds)*10*time.Second))
		}
	}
	for _, policy := range rules.Policies {
		times = append(times, policy.Expires)
	}
	for _, at := range times {
		for _, now := range []time.Time{at.Add(-1), at} {
			mode := Mode("")
			if step, due := decision.At(now); due {
				mode = step.Mode
			}
			if want := oracleAt(pod, taints, rules, now); mode != want {
				t.Errorf("pod %+v\ntaints %+v\nrules %+v\ndecision %+v\nat %v: got %q, want %q", pod, taints, rules, decision, now, mode, want)
			}
		}
	}
}

// oracleAt says how a pod goes at one moment: for each taint, by the first policy that matches and has not expired.
func oracleAt(pod Pod, taints []Taint, rules Rules, now time.Time) Mode {
	mode := Mode("")
	for _, taint := range taints {
		switch oracleTaintAt(pod, taint, rules, nanos(now)) {
		case ModeDelete:
			return ModeDelete
		case ModeEvict:
			mode = ModeEvict
		}
	}
	return mode
}

func oracleTaintAt(pod Pod, taint Taint, rules Rules, now *big.Int) Mode {
	var from *big.Int // since when the policy applies
	for _, p := range rules.Policies {
		matches := len(p.Taints) == 0 && taint.Effect == ""
		for _, pattern := range p.Taints {
			effect := pattern.Effect == v1.TaintEffectNoSchedule
			matches = matches || pattern.Key == taint.Key && (pattern.Value == nil || *pattern.Value == taint.Value) &&
				effect == (taint.Effect == v1.TaintEffectNoSchedule)
		}
		if !matches {
			continue
		}
		if !p.Expires.IsZero() && now.Cmp(nanos(p.Expires)) >= 0 {
			if from == nil || from.Cmp(nanos(p.Expires)) < 0 {
				from = nanos(p.Expires)
			}
			continue
		}
		if taint.Effect != "" && p.Since.After(taint.Start) {
			taint.Start = p.Since
		}
		due := oracleTaint(pod, taint, rules)
		if due == nil || p.Mode == ModeKeep || p.Mode == ModePreview {
			return ""
		}
		if p.MinTaintAge > 0 {
			due = latestOf(due, plus(nanos(taint.Start), seconds(p.MinTaintAge)))
		}
		if from != nil {
			due = latestOf(due, from)
		}
		switch {
		case now.Cmp(due) < 0:
			return ""
		case p.Mode == ModeDelete, p.DeleteAfter != nil && now.Cmp(plus(due, seconds(*p.DeleteAfter))) >= 0:
			return ModeDelete
		default:
			return ModeEvict
		}
	}
	if due := oracleTaint(pod, taint, rules); due == nil || taint.Effect != "" || now.Cmp(due) < 0 {
		return ""
	}
	return ModeDelete
}

func seconds(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e9)) }

// fuzzTime is a time that the API can express: seconds of the years 1 to 9998, and nanoseconds.
func fuzzTime(n int64) time.Time {
	const first, years = -62135596800, 9997 * 365 * 24 * 3600
	seconds := n % years
	if seconds < 0 {
		seconds += years
	}
	return time.Unix(first+seconds, (n>>8)&0x3fffffff%1e9)
}
