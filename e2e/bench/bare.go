package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/taint-manager/taint-manager/e2e/controlplane"
)

const (
	bareAccount = "bench-bare"
	// nodeReadInterval is how often the node of a pod is read anew, as taint-manager does at most.
	nodeReadInterval = time.Second
)

// bareRules are what the calls need.
func bareRules() []rbacv1.PolicyRule {
	rule := func(resource, verb string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{verb}}
	}
	return []rbacv1.PolicyRule{rule("pods", "delete"), rule("pods/status", "patch"), rule("nodes", "get"), rule("events", "create")}
}

// bareClient makes the calls of an eviction for each pod of a tainted node, as fast as the API server answers. It watches
// nothing and decides nothing: what it reaches is what the API server gives to anyone who makes these calls.
type bareClient struct {
	client kubernetes.Interface
	pods   map[string][]podRef // by node
	// due are the pods that are left of each tainted node. Who takes one puts the rest back at the end, so that all nodes
	// have their turn, as with taint-manager.
	due    chan []podRef
	events chan *corev1.Event
	cancel context.CancelCauseFunc
	ctx    context.Context
	wg     sync.WaitGroup

	mu   sync.Mutex
	read map[string]time.Time // when a node was last read
}

var errDone = errors.New("the storm is over")

func startBare(ctx context.Context, b *bench, pods []podRef) (contestant, error) {
	config := rest.CopyConfig(b.bare)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("bare client: %w", err)
	}
	c := &bareClient{
		client: client, pods: map[string][]podRef{}, read: map[string]time.Time{},
		due: make(chan []podRef, b.nodes), events: make(chan *corev1.Event, len(pods)),
	}
	for _, pod := range pods {
		c.pods[pod.node] = append(c.pods[pod.node], pod)
	}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	for range b.bareConcurrency {
		c.wg.Go(func() { work(c, c.due, c.evictNext) })
	}
	for range b.bareEventWriters {
		c.wg.Go(func() { work(c, c.events, c.write) })
	}
	return c, nil
}

// work does something with each item that comes, until the client is stopped or something fails.
func work[T any](c *bareClient, items <-chan T, do func(T) error) {
	for {
		select {
		case <-c.ctx.Done():
			return
		case item := <-items:
			if err := do(item); err != nil {
				c.cancel(err)
				return
			}
		}
	}
}

func (c *bareClient) process() *controlplane.Process { return nil }

func (c *bareClient) tainted(node string) { c.due <- c.pods[node] }

func (c *bareClient) failed() error {
	if err := context.Cause(c.ctx); err != nil && !errors.Is(err, errDone) {
		return err
	}
	return nil
}

func (c *bareClient) stop() error {
	c.cancel(errDone)
	c.wg.Wait()
	return c.failed()
}

// evictNext evicts the first of the pods of a node.
func (c *bareClient) evictNext(pods []podRef) error {
	if len(pods) > 1 {
		c.due <- pods[1:]
	}
	return c.evict(pods[0])
}

// evict makes the calls for one pod, and leaves its Event to those who write them.
func (c *bareClient) evict(ref podRef) error {
	if err := c.readNode(ref.node); err != nil {
		return err
	}
	pod, err := c.mark(ref)
	if err != nil {
		return err
	}
	err = c.client.CoreV1().Pods(ref.namespace).Delete(c.ctx, ref.name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &ref.uid, ResourceVersion: ptr.To(pod.ResourceVersion)},
	})
	if err != nil {
		return fmt.Errorf("deleting pod %s: %w", ref.name, err)
	}
	c.events <- eventAbout(ref, pod.ResourceVersion)
	return nil
}

// readNode reads a node, unless that was done not long ago.
func (c *bareClient) readNode(name string) error {
	c.mu.Lock()
	fresh := time.Since(c.read[name]) < nodeReadInterval
	if !fresh {
		c.read[name] = time.Now()
	}
	c.mu.Unlock()
	if fresh {
		return nil
	}
	if _, err := c.client.CoreV1().Nodes().Get(c.ctx, name, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("reading node %s: %w", name, err)
	}
	return nil
}

// mark writes the condition DisruptionTarget, and returns the live pod.
func (c *bareClient) mark(ref podRef) (*corev1.Pod, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": ref.uid},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
			LastTransitionTime: metav1.Now(), ObservedGeneration: ref.generation,
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the condition: %w", err)
	}
	pod, err := c.client.CoreV1().Pods(ref.namespace).
		Patch(c.ctx, ref.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return nil, fmt.Errorf("condition of pod %s: %w", ref.name, err)
	}
	return pod, nil
}

func (c *bareClient) write(event *corev1.Event) error {
	if _, err := c.client.CoreV1().Events(event.Namespace).Create(c.ctx, event, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("writing an Event about pod %s: %w", event.InvolvedObject.Name, err)
	}
	return nil
}

// eventAbout is an Event as large as one of taint-manager.
func eventAbout(ref podRef, resourceVersion string) *corev1.Event {
	now := metav1.Now()
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.namespace, Name: fmt.Sprintf("%s.%x", ref.name, now.UnixNano())},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: ref.namespace, Name: ref.name, UID: ref.uid, ResourceVersion: resourceVersion,
		},
		Reason: evictionReason,
		Message: fmt.Sprintf("Evicted from node %s for taint %s:NoExecute, not tolerated; due at %s, %s late",
			ref.node, stormTaint, now.UTC().Format(time.RFC3339), time.Second),
		Type:                corev1.EventTypeNormal,
		Source:              corev1.EventSource{Component: bareAccount},
		ReportingController: bareAccount,
		FirstTimestamp:      now,
		LastTimestamp:       now,
		Count:               1,
	}
}
