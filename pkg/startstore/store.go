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

package startstore

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/time/rate"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/taint-manager/taint-manager/pkg/connection"
	"github.com/taint-manager/taint-manager/pkg/taintstart"
)

const (
	// interval is the time between two checks of whether something must be written.
	interval = time.Second
	// freshInterval is the time between two writes that only update the confirmation of not-ready periods. A process that
	// restarts measures an absence from the last one.
	freshInterval = 15 * time.Second
	// retryInterval is the time between two writes after one that failed.
	retryInterval = 10 * time.Second
	// loadTimeout is how long the first read may fail. It does not apply while the API server cannot be reached: then
	// nothing else can be read either, and the informers log it.
	loadTimeout = 10 * time.Second
	callTimeout = 5 * time.Second
	// errorLogInterval is the shortest time between two errors logged.
	errorLogInterval = 5 * time.Minute
)

// Tracker provides records and takes them back at a start. taintstart.Tracker implements it.
type Tracker interface {
	Records() taintstart.Records
	Restore(records taintstart.Records)
}

// Annotations provides further annotations of the ConfigMap, by which a component shows and keeps its state, and takes them back at a start.
type Annotations interface {
	// Annotations returns the values by name. An empty one removes the annotation.
	Annotations() map[string]string
	// RestoreAnnotations takes all annotations that the ConfigMap has.
	RestoreAnnotations(ctx context.Context, annotations map[string]string)
}

// Store stores the records of a tracker in a ConfigMap.
type Store struct {
	client  typedcorev1.CoreV1Interface
	name    types.NamespacedName
	clock   clock.WithTicker
	tracker Tracker
	further Annotations // nil for none

	errorLog *rate.Sometimes
}

// New returns a store in the ConfigMap of a name.
func New(client typedcorev1.CoreV1Interface, name types.NamespacedName, clock clock.WithTicker, tracker Tracker) *Store {
	return &Store{client: client, name: name, clock: clock, tracker: tracker, errorLog: &rate.Sometimes{Interval: errorLogInterval}}
}

// Annotate has the ConfigMap carry further annotations. It must be called before Load.
func (s *Store) Annotate(further Annotations) { s.further = further }

// Load restores the records and the annotations. It must be called before nodes are observed.
func (s *Store) Load(ctx context.Context) {
	began := s.clock.Now()
	for {
		config, err := s.get(ctx)
		switch {
		case err == nil:
			records := Decode(klog.FromContext(ctx), config)
			klog.FromContext(ctx).Info("Restored starts of taints", "configMap", s.name, "nodes", len(records.Nodes))
			s.tracker.Restore(records)
			if s.further != nil {
				s.further.RestoreAnnotations(ctx, config.Annotations)
			}
			return
		case ctx.Err() != nil:
			return
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err),
			(!connection.Failed(err) || connection.TimedOut(err)) && s.clock.Since(began) >= loadTimeout:
			s.logError(ctx, err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.clock.After(interval):
		}
	}
}

// state is what is known to be stored.
type state struct {
	config  *v1.ConfigMap
	records taintstart.Records
	// at is when it was written or read.
	at time.Time
}

// outdated reports whether something must be written.
func (s *state) outdated(records taintstart.Records, now time.Time) bool {
	switch {
	case !maps.EqualFunc(records.Nodes, s.records.Nodes, taintstart.Record.Equal):
		return true
	case records.Unconfirmed() < s.records.Unconfirmed():
		return true
	default:
		return records.ConfirmedUntil.After(s.records.ConfirmedUntil) && records.HasPeriods() && now.Sub(s.at) >= freshInterval
	}
}

// lacks reports whether annotations are not stored as they are to be.
func (s *state) lacks(annotations map[string]string) bool {
	for name, value := range annotations {
		if s.config.Annotations[name] != value {
			return true
		}
	}
	return false
}

// Run keeps the ConfigMap up to date until ctx is done. Only the leader may run it.
func (s *Store) Run(ctx context.Context) {
	var current *state // nil if unknown
	ticker := s.clock.NewTicker(interval)
	defer ticker.Stop()
	var retryAt time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		if s.clock.Now().Before(retryAt) {
			continue
		}
		next, err := s.write(ctx, current)
		if err != nil && ctx.Err() == nil {
			s.logError(ctx, err)
			retryAt = s.clock.Now().Add(retryInterval)
		}
		current = next
	}
}

// write brings the ConfigMap up to date. It returns what is stored then. If the current state is nil, it reads the
// ConfigMap first.
func (s *Store) write(ctx context.Context, current *state) (*state, error) {
	logger := klog.FromContext(ctx)
	if current == nil {
		config, err := s.get(ctx)
		if err != nil {
			return nil, err
		}
		current = &state{config, Decode(logger, config), s.clock.Now()}
	}
	records, further := s.tracker.Records(), map[string]string(nil)
	if s.further != nil {
		further = s.further.Annotations()
	}
	if !current.outdated(records, s.clock.Now()) && !current.lacks(further) {
		return current, nil
	}
	config := current.config.DeepCopy()
	config.Data = encode(logger, records.Nodes)
	annotate(config, further)
	if !records.ConfirmedUntil.IsZero() {
		metav1.SetMetaDataAnnotation(&config.ObjectMeta, confirmedUntil, records.ConfirmedUntil.Format(time.RFC3339Nano))
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	config, err := s.client.ConfigMaps(s.name.Namespace).Update(ctx, config, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return nil, nil // another writer changed it: read it again
	}
	if err != nil {
		return nil, fmt.Errorf("writing: %w", err)
	}
	logger.V(2).Info("Stored starts of taints", "configMap", s.name, "nodes", len(config.Data))
	return &state{config, records, s.clock.Now()}, nil
}

// annotate sets annotations of a ConfigMap, and removes those that are empty.
func annotate(config *v1.ConfigMap, annotations map[string]string) {
	for name, value := range annotations {
		if value == "" {
			delete(config.Annotations, name)
		} else {
			metav1.SetMetaDataAnnotation(&config.ObjectMeta, name, value)
		}
	}
}

func (s *Store) get(ctx context.Context) (*v1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	config, err := s.client.ConfigMaps(s.name.Namespace).Get(ctx, s.name.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	return config, nil
}

func (s *Store) logError(ctx context.Context, err error) {
	s.errorLog.Do(func() {
		klog.FromContext(ctx).Error(err, "Cannot use the ConfigMap for starts of taints; create it, and grant get and update on it to the service account. "+
			"Without it, countdowns on nodes that are not ready may begin again when taint-manager and kube-controller-manager restart together", "configMap", s.name)
	})
}
