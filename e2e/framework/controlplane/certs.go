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
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is long for a test and short for a mistake.
const certificateLife = 7 * 24 * time.Hour

// authority signs certificates. Its key stays in memory unless the files are asked for.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// keyPair is a certificate and its key, in PEM.
type keyPair struct {
	cert, key []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err := sign(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", name, err)
	}
	return &authority{cert: cert, key: key}, nil
}

// client issues a certificate that makes its holder the user of that name, in those groups.
func (a *authority) client(user string, groups ...string) (keyPair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// server issues a certificate for servers on the loopback interface and under the names given.
func (a *authority) server(name string, dnsNames ...string) (keyPair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    append([]string{"localhost"}, dnsNames...),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), serviceIP()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

func (a *authority) issue(template *x509.Certificate) (keyPair, error) {
	name := template.Subject.CommonName
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("key of %s: %w", name, err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	cert, err := sign(template, a.cert, key, a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("certificate of %s: %w", name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return keyPair{}, fmt.Errorf("key of %s: %w", name, err)
	}
	return keyPair{cert: encodeCertificate(cert), key: keyPEM}, nil
}

// sign completes the template with what all certificates have in common.
func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour) // clients may have a clock that is behind
	template.NotAfter = time.Now().Add(certificateLife)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// pki is every certificate of one control plane. The files lie in dir; client certificates of people and parts are
// kept in memory, and reach their holders inside kubeconfigs.
type pki struct {
	dir     string
	caPEM   []byte
	clients map[identity]keyPair
}

func newPKI(dir string, ids ...identity) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory for certificates: %w", err)
	}
	ca, err := newAuthority("kubernetes")
	if err != nil {
		return nil, err
	}
	frontCA, err := newAuthority("front-proxy-ca")
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, caPEM: encodeCertificate(ca.cert), clients: make(map[identity]keyPair, len(ids))}
	for _, id := range ids {
		if p.clients[id], err = ca.client(string(id), id.groups()...); err != nil {
			return nil, err
		}
	}
	return p, p.writeFiles(ca, frontCA)
}

func (p *pki) writeFiles(ca, frontCA *authority) error {
	caKey, err := encodeKey(ca.key)
	if err != nil {
		return fmt.Errorf("key of the authority: %w", err)
	}
	apiserver, err := ca.server("kube-apiserver", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local")
	if err != nil {
		return err
	}
	serving, err := ca.server("control-plane")
	if err != nil {
		return err
	}
	frontProxy, err := frontCA.client("front-proxy-client")
	if err != nil {
		return err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("key of service accounts: %w", err)
	}
	accountsKey, err := encodeKey(accounts)
	if err != nil {
		return fmt.Errorf("key of service accounts: %w", err)
	}
	for name, content := range map[string][]byte{
		"ca.crt": p.caPEM, "ca.key": caKey,
		"front-proxy-ca.crt":     encodeCertificate(frontCA.cert),
		"front-proxy-client.crt": frontProxy.cert, "front-proxy-client.key": frontProxy.key,
		"apiserver.crt": apiserver.cert, "apiserver.key": apiserver.key,
		"serving.crt": serving.cert, "serving.key": serving.key,
		"accounts.key": accountsKey,
	} {
		if err := os.WriteFile(p.file(name), content, 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }
