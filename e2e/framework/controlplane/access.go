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

package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// identity is the user name of a holder of a client certificate.
type identity string

// Those of the parts are what RBAC's bootstrap policy binds roles to.
const (
	adminID             identity = "admin"
	controllerManagerID identity = "system:kube-controller-manager"
	schedulerID         identity = "system:kube-scheduler"
	kwokID              identity = "kwok"
)

func identities() []identity {
	return []identity{adminID, controllerManagerID, schedulerID, kwokID}
}

// groups that the certificate puts its holder in. Kwok plays all kubelets at once, which no role of a cluster is for.
func (id identity) groups() []string {
	if id == adminID || id == kwokID {
		return []string{"system:masters"}
	}
	return nil
}

// httpClient is a client that trusts our authority and shows the identity's certificate.
func (p *pki) httpClient(id identity) (*http.Client, error) {
	config := p.config("", id)
	config.Timeout = healthTimeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", id, err)
	}
	return client, nil
}

// config is a client configuration for the identity, without limits on its side.
func (p *pki) config(host string, id identity) *rest.Config {
	pair := p.clients[id]
	return &rest.Config{
		Host:            host,
		TLSClientConfig: rest.TLSClientConfig{CAData: p.caPEM, CertData: pair.cert, KeyData: pair.key},
		QPS:             -1,
	}
}

// kubeconfigPath is where the kubeconfig of a user lies.
func (cp *ControlPlane) kubeconfigPath(user string) string {
	return filepath.Join(cp.dir, "kubeconfig-"+fileName(user))
}

// fileName replaces what separates the parts of a Kubernetes user name.
func fileName(user string) string {
	name := []byte(user)
	for i, c := range name {
		if c == ':' || c == '/' {
			name[i] = '-'
		}
	}
	return string(name)
}

func (cp *ControlPlane) writeKubeconfigs() error {
	for _, id := range identities() {
		pair := cp.pki.clients[id]
		user := &clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key}
		if err := cp.writeKubeconfig(string(id), user); err != nil {
			return err
		}
	}
	cp.admin = cp.pki.config(cp.parts[APIServer].URL(), adminID)
	return nil
}

func (cp *ControlPlane) writeKubeconfig(user string, info *clientcmdapi.AuthInfo) error {
	const cluster = "controlplane"
	config := clientcmdapi.NewConfig()
	config.Clusters[cluster] = &clientcmdapi.Cluster{
		Server: cp.parts[APIServer].URL(), CertificateAuthorityData: cp.pki.caPEM,
	}
	config.AuthInfos[user] = info
	config.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user}
	config.CurrentContext = cluster
	if err := clientcmd.WriteToFile(*config, cp.kubeconfigPath(user)); err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", user, err)
	}
	return nil
}

// AdminConfig is the client configuration of an administrator, for fixtures, without limits on the client's side.
// Each call returns a new copy.
func (cp *ControlPlane) AdminConfig() *rest.Config { return rest.CopyConfig(cp.admin) }

// AdminKubeconfig is the path of a kubeconfig of the administrator.
func (cp *ControlPlane) AdminKubeconfig() string { return cp.kubeconfigPath(string(adminID)) }

// Client is a client of the administrator.
func (cp *ControlPlane) Client() (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(cp.admin)
	if err != nil {
		return nil, fmt.Errorf("client of the administrator: %w", err)
	}
	return client, nil
}

// HTTPClient is an HTTP client of the administrator that trusts the certificates of this control plane's servers, for
// the /metrics and health endpoints of the parts: see Process.URL.
func (cp *ControlPlane) HTTPClient() (*http.Client, error) {
	config := cp.AdminConfig()
	config.Timeout = time.Minute
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client of the administrator: %w", err)
	}
	return client, nil
}

// ServingCert returns the paths of a certificate and its key for a server on 127.0.0.1 or localhost, signed by the
// authority that all kubeconfigs and HTTPClient trust.
func (cp *ControlPlane) ServingCert() (certFile, keyFile string) {
	return cp.pki.file("serving.crt"), cp.pki.file("serving.key")
}

// CAFile is the path of the certificate of that authority.
func (cp *ControlPlane) CAFile() string { return cp.pki.file("ca.crt") }

// Namespace makes a namespace and waits until pods can be created in it.
func (cp *ControlPlane) Namespace(ctx context.Context, name string) error {
	client, err := cp.Client()
	if err != nil {
		return err
	}
	if err := ensureNamespace(ctx, client, name); err != nil {
		return err
	}
	return cp.awaitDefaultAccount(ctx, client, name)
}

// RedirectKubeconfig writes a copy of a kubeconfig that names another address of the API server, and returns its path.
func RedirectKubeconfig(kubeconfig, server, path string) (string, error) {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return "", fmt.Errorf("redirecting a kubeconfig: %w", err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server = server
	}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("redirecting a kubeconfig: %w", err)
	}
	return path, nil
}
