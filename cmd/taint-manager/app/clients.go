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
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/component-base/version"

	"github.com/taint-manager/taint-manager/pkg/podcache"
	"github.com/taint-manager/taint-manager/pkg/serverclock"
)

// clients has one client for each purpose, so that no request waits behind those for another purpose.
type clients struct {
	// pods reads pods and nodes, and evictions evicts. The latter knows the owners of pods if there is an audit log.
	pods, evictions typedcorev1.CoreV1Interface
	// reviews authenticates and authorizes callers of our server.
	events, leases, reviews, others kubernetes.Interface
	// dynamic reads policies and writes their status. metadata reads the labels of namespaces.
	dynamic  dynamic.Interface
	metadata metadata.Interface
	// evictionLimiter limits the rate of requests for evictions. It is nil for no limit.
	evictionLimiter flowcontrol.RateLimiter
}

// newClients returns clients that report the Date of responses to the clock.
func newClients(o *Options, server *serverclock.Clock) (*clients, error) {
	if err := checkConnections(); err != nil {
		return nil, err
	}
	config, err := restConfig(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Wrap(server.Wrap)
	c := &clients{}
	if c.pods, err = podcache.NewClient(config); err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	c.evictions = c.pods
	if o.AuditLog.Path != "" {
		if c.evictions, err = podcache.NewClientWithOwners(config); err != nil {
			return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
		}
	}
	eventConfig, leaseConfig := rest.CopyConfig(config), rest.CopyConfig(config)
	// A renewal that hangs must leave time for another one before the deadline.
	leaseConfig.Timeout = o.LeaderElection.RenewDeadline.Duration / 2
	// Renewals use their own connections, so that they do not wait for other requests, and HTTP/1.1. With HTTP/2 a request
	// that times out leaves its connection to the next one, which would time out as well.
	leaseConfig.NextProtos = []string{"http/1.1"}
	if o.KubeAPIQPS > 0 {
		burst := o.KubeAPIBurst
		if burst == 0 {
			burst = max(1, int(2*o.KubeAPIQPS))
		}
		c.evictionLimiter = flowcontrol.NewTokenBucketRateLimiter(o.KubeAPIQPS, burst)
		eventConfig.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(o.KubeAPIQPS, burst)
	}
	for _, client := range []struct {
		to     *kubernetes.Interface
		config *rest.Config
	}{{&c.events, eventConfig}, {&c.leases, leaseConfig}, {&c.reviews, reviewConfig(config)}, {&c.others, config}} {
		if *client.to, err = kubernetes.NewForConfig(client.config); err != nil {
			return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
		}
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	if c.metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	return c, nil
}

// restConfig returns the configuration to reach the API server, without a rate limit and in protobuf.
func restConfig(kubeconfig string) (*rest.Config, error) {
	var config *rest.Config
	var err error
	if kubeconfig == "" {
		config, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("not running in a pod of a cluster: name the cluster with --kubeconfig")
		}
		if err != nil {
			return nil, fmt.Errorf("the service account of this pod cannot be used: %w; check that its token is mounted", err)
		}
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--kubeconfig=%s: cannot be used: %w; give the path of a readable kubeconfig", kubeconfig, err)
		}
	}
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	v := version.Get()
	config.UserAgent = fmt.Sprintf("taint-manager/%s (%s) %.7s", v.GitVersion, v.Platform, v.GitCommit)
	return config, nil
}

// reviewConfig returns the configuration to review callers. It has the rate limit of an ordinary client: anyone who reaches
// our port can cause reviews, and the API server handles them at the same priority level as evictions.
func reviewConfig(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = rest.DefaultQPS, rest.DefaultBurst
	return config
}
