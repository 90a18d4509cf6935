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

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/taint-manager/taint-manager/e2e/framework/launcher"
	"github.com/taint-manager/taint-manager/e2e/framework/loop"
	policyv1alpha1 "github.com/taint-manager/taint-manager/pkg/apis/policy/v1alpha1"
)

const (
	// The contenders of mode Evict, and the one with the brake.
	bareEvictName, oursEvictName, brakedName = "bare-evict", "taint-manager-evict", "taint-manager-braked"

	// evictPolicy has the pods of storms evicted by the eviction API.
	evictPolicy = "bench-evict"
	// evictCall is how the audit log calls an eviction.
	evictCall = "create pods/eviction"
	// brakeConfig has the brake count all nodes and hold none of them.
	brakeConfig = "apiVersion: config.taint-manager.io/v1alpha1\nkind: TaintManagerConfiguration\nevictionBrake: {maxNodes: 100%}\n"

	partStorm, partBudgets, partBrake = "storm", "budgets", "brake"
)

func evictParts() []string { return []string{partStorm, partBudgets, partBrake} }

// measureEvict measures mode Evict, and what the brake costs.
func (b *bench) measureEvict(ctx context.Context, r *report) error {
	if slices.Contains(b.evict, partBrake) {
		if err := b.measureBrake(ctx, r); err != nil {
			return fmt.Errorf("eviction brake: %w", err)
		}
	}
	storm, budgets := slices.Contains(b.evict, partStorm), slices.Contains(b.evict, partBudgets)
	if !storm && !budgets {
		return nil
	}
	return b.withPolicy(ctx, func() error {
		if storm {
			if err := b.measureEvictStorms(ctx, r); err != nil {
				return err
			}
		}
		if !budgets {
			return nil
		}
		result, err := b.measureBudgets(ctx)
		if err != nil {
			return fmt.Errorf("budgets of one place: %w", err)
		}
		r.Budgets = result
		return nil
	})
}

// withPolicy does something while a policy has the pods of storms evicted, and budgets are counted.
func (b *bench) withPolicy(ctx context.Context, do func() error) (err error) {
	policies, remove, err := launcher.ServePolicies(ctx, b.cp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(ctx)) }()
	_, err = policies.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": policyv1alpha1.GroupVersion.String(), "kind": "TaintEvictionPolicy", "metadata": map[string]any{"name": evictPolicy},
		"spec": map[string]any{
			"matchingPrecedence": int64(100), "mode": "Evict", "evict": map[string]any{"deleteAfter": "Never"},
			"taints": []any{map[string]any{"key": stormTaint}},
		},
	}}, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return fmt.Errorf("making the policy: %w", err)
	}
	if b.disruption, err = b.cp.StartDisruption(ctx); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, b.disruption.Crashed(), b.disruption.Stop())
		b.disruption = nil
	}()
	return errors.Join(do(), b.removeBudgets(ctx))
}

// measureEvictStorms has mode Evict and the bare client evict pods whose budgets allow all of them to go, after one that nobody counts.
func (b *bench) measureEvictStorms(ctx context.Context, r *report) error {
	bare := contender{bareEvictName, "bare client, evictions", bareAccount, 1, nil}
	warm := bare
	warm.title, warm.share = "warming up", smallShare
	ours := contender{oursEvictName, "taint-manager, mode Evict", launcher.Name, 1, startOurs}
	for i, c := range []contender{warm, bare, ours, bare} {
		pods, err := b.fillGuarded(ctx, guard{budgets: max(1, b.nodes*b.podsPerNode/podsPerOwner/c.share), perBudget: podsPerOwner})
		if err != nil {
			return err
		}
		storm, err := b.stormOver(ctx, c, pods, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		if i > 0 {
			r.EvictStorms = append(r.EvictStorms, *storm)
		}
	}
	return nil
}

// measureBrake has pods deleted with the brake and without, in turns: what else the machine does is then the same for both.
func (b *bench) measureBrake(ctx context.Context, r *report) error {
	config := filepath.Join(b.dir, "brake.yaml")
	if err := os.WriteFile(config, []byte(brakeConfig), 0o600); err != nil {
		return err
	}
	off := contender{oursName, "without the brake", launcher.Name, 1, way{binary: b.binary}.start(b.kubeconfig)}
	on := contender{brakedName, "brake on", launcher.Name, 1, way{binary: b.binary, args: []string{"--config=" + config}}.start(b.kubeconfig)}
	for _, c := range []contender{off, on, on, off} {
		if err := b.clear(ctx); err != nil {
			return err
		}
		storm, err := b.storm(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		r.BrakeStorms = append(r.BrakeStorms, *storm)
	}
	return nil
}

// measureBudgets has mode Evict empty nodes whose pods can only go one by one of each budget.
func (b *bench) measureBudgets(ctx context.Context) (_ *Budgets, err error) {
	g := guard{budgets: b.budgets, perBudget: b.podsPerBudget, minAvailable: b.podsPerBudget - 1}
	pods, err := b.fillGuarded(ctx, g)
	if err != nil {
		return nil, err
	}
	c := contender{oursEvictName, "budgets of one place", launcher.Name, 1, startOurs}
	runner, _, err := b.enter(ctx, c, pods)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, runner.stop()) }()
	if _, err := b.atRest(ctx, runner.process()); err != nil {
		return nil, err
	}
	owners, err := b.startOwners(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, owners.stop()) }()
	logged, err := b.audit.end()
	if err != nil {
		return nil, err
	}
	during := period{from: time.Now()}
	began, err := b.taintAll(ctx, runner)
	if err != nil {
		return nil, err
	}
	result := &Budgets{Budgets: g.budgets, Pods: g.pods(), MinAvailable: g.minAvailable}
	last, err := b.empty(ctx, runner, owners, result)
	if err != nil {
		return nil, err
	}
	if err := loop.Sleep(ctx, time.Second); err != nil { // what has been answered is logged a moment later
		return nil, err
	}
	during.to = time.Now()
	counted, err := b.audit.count(logged, c.user(), during)
	if err != nil {
		return nil, err
	}
	result.Seconds = last.Sub(began).Seconds()
	result.EvictionCalls, result.Failed = counted.eviction[evictCall], counted.failed
	result.Violated, result.FewestReady = owners.below(g.minAvailable)
	b.say("budgets of one place: %d of %d pods went in %.0f s, %d eviction calls, %d budgets violated", result.Went, result.Pods, result.Seconds,
		result.EvictionCalls, result.Violated)
	return result, nil
}

// empty waits until all pods of the result go, or none has gone for too long. It returns when the last one went.
func (b *bench) empty(ctx context.Context, runner contestant, owners *owners, result *Budgets) (last time.Time, err error) {
	progress, said := time.Now(), time.Now()
	for {
		went, last := owners.went()
		if err := errors.Join(runner.failed(), b.disruption.Crashed(), owners.failed()); err != nil {
			return last, err
		}
		if went > result.Went {
			result.Went, progress = went, time.Now()
		}
		if went >= result.Pods || time.Since(progress) > stormPatience {
			return last, nil
		}
		if time.Since(said) > progressInterval {
			said = time.Now()
			b.say("budgets of one place: %d of %d pods went", went, result.Pods)
		}
		if err := loop.Sleep(ctx, stormPoll); err != nil {
			return last, err
		}
	}
}
