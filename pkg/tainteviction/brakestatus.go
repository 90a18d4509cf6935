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

package tainteviction

import (
	"context"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/taint-manager/taint-manager/pkg/brake"
)

const (
	// brakeOnEventReason is the reason of the Event on our Deployment when the eviction brake goes on, and when another replica leads while it
	// is on. It is a Warning. The message says why, and what releases it.
	brakeOnEventReason = "TaintManagerEvictionBrakeOn"
	// brakeOffEventReason is the reason of the Event on our Deployment when the eviction brake goes off.
	brakeOffEventReason = "TaintManagerEvictionBrakeOff"
	// brakeInterval is the time between two looks at the brake for what shows it.
	brakeInterval = time.Second
	// deploymentTimeout bounds the call that looks up our Deployment.
	deploymentTimeout = 5 * time.Second
)

// brakeView is what shows the brake: the last look at it, and what was written about it.
type brakeView struct {
	lock   sync.Mutex
	status brake.Status
	// told says that the Event that it is on was written.
	told bool
	// deployment is the reference to our Deployment; nil until it is needed.
	deployment *v1.ObjectReference
}

// followBrake keeps what shows the brake up to date, until ctx is done.
func (c *Controller) followBrake(ctx context.Context) {
	ticker := time.NewTicker(brakeInterval)
	defer ticker.Stop()
	for {
		c.showBrake(ctx)
		select {
		case <-ctx.Done():
			return
		case <-c.brakeSignal:
		case <-ticker.C:
		}
	}
}

// showBrake takes a look at the brake. It sets the metrics, and writes an Event if the brake went on or off. Only the leader writes Events.
func (c *Controller) showBrake(ctx context.Context) {
	status := c.config.Brake.Status()
	on := 0.0
	if status.On {
		on = 1
	}
	c.config.Metrics.BrakeOn.Set(on)
	c.config.Metrics.BrakeNodes.Set(float64(status.Counting))
	c.brakeView.lock.Lock()
	c.brakeView.status = status
	leading := c.leading.Load()
	changed := leading && status.On != c.brakeView.told
	c.brakeView.told = leading && status.On
	c.brakeView.lock.Unlock()
	if !changed {
		return
	}
	about := c.ownDeployment(ctx)
	if status.On {
		c.recorder.RecordWarningSeries(about, brakeOnEventReason, "", status.Text(c.config.ServerClock.At))
	} else {
		c.recorder.RecordSeries(about, brakeOffEventReason, "", "Evictions go on: "+status.Text(c.config.ServerClock.At))
	}
}

// ownDeployment returns a reference to our Deployment. It has no UID if the Deployment cannot be read: kubectl get events shows such an Event,
// and kubectl describe does not.
func (c *Controller) ownDeployment(ctx context.Context) v1.ObjectReference {
	if c.brakeView.deployment != nil { // which followBrake alone reads and writes
		return *c.brakeView.deployment
	}
	name := c.config.Deployment
	about := v1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: name.Namespace, Name: name.Name}
	ctx, cancel := context.WithTimeout(ctx, deploymentTimeout)
	defer cancel()
	deployment, err := c.config.Events.AppsV1().Deployments(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Cannot read our own Deployment, its Events have no UID", "deployment", name, "err", err.Error())
	} else {
		about.UID = deployment.UID
	}
	c.brakeView.deployment = &about
	return about
}

// BrakeText says why the eviction brake is on, and what would release it. It is empty while it is off.
func (c *Controller) BrakeText() string {
	c.brakeView.lock.Lock()
	status := c.brakeView.status
	c.brakeView.lock.Unlock()
	if !status.On {
		return ""
	}
	return status.Text(c.config.ServerClock.At)
}
