//go:build kind

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

package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/taint-manager/taint-manager/e2e/kind/nodes"
)

const (
	clusterVariable    = "E2E_KIND_CLUSTER"
	kubeconfigVariable = "E2E_KIND_KUBECONFIG"

	// workloadImage is loaded on all nodes by the command that runs us.
	workloadImage = "taint-manager-e2e/workload:dev"
)

// What all tests share.
var (
	client  kubernetes.Interface
	cluster nodes.Cluster
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" { // no test is run
		os.Exit(m.Run())
	}
	if err := connect(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// They mostly wait. The command line may say otherwise.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func connect() error {
	cluster.Name = os.Getenv(clusterVariable)
	kubeconfig := os.Getenv(kubeconfigVariable)
	if cluster.Name == "" || kubeconfig == "" {
		return fmt.Errorf("%s and %s have to name a kind cluster and its kubeconfig; make e2e does all that", clusterVariable, kubeconfigVariable)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("kubeconfig of the kind cluster: %w", err)
	}
	config.QPS = -1 // no limit, which would make us late
	config.WarningHandler = rest.NoWarnings{}
	if client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := cluster.Exec(ctx, cluster.ControlPlane(), "true"); err != nil {
		return fmt.Errorf("the nodes of cluster %s cannot be reached by docker exec: %w", cluster.Name, err)
	}
	return nil
}
