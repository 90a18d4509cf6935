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
	"net/http"
	"net/http/pprof"

	utilversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/server/flagz"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/statusz"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/version"
)

const component = "taint-manager"

// checks are the checks of /livez, which /healthz makes too, and of /readyz.
type checks struct {
	alive, ready []healthz.HealthChecker
}

// endpoint is a path that is served.
type endpoint struct {
	path    string
	meaning string
	install func(mux *http.ServeMux)
}

// endpoints returns all paths that are served. Access control is not theirs.
func endpoints(o *Options, c checks) []endpoint {
	all := []endpoint{
		{"/livez", "Whether the process works: it fails when a replica still counts as the leader 20 s after the end of its Lease.",
			func(mux *http.ServeMux) { healthz.InstallLivezHandler(mux, c.alive...) }},
		{"/healthz", "The same, under its old name.", func(mux *http.ServeMux) { healthz.InstallHandler(mux, c.alive...) }},
		{"/readyz", "Whether the replica knows the cluster and may do its work; with `?verbose`, each check by name.",
			func(mux *http.ServeMux) { healthz.InstallReadyzHandler(mux, c.ready...) }},
		{"/metrics", "Metrics, in the format of Prometheus.", func(mux *http.ServeMux) { mux.Handle("/metrics", legacyregistry.Handler()) }},
		{statusz.DefaultStatuszPath, "Since when the process runs, its version and that of Go, and these paths.",
			func(mux *http.ServeMux) { installStatusz(mux, o) }},
		{flagz.DefaultFlagzPath, "Each flag with the value that is in effect, whether from the command line, the configuration file or by default.",
			func(mux *http.ServeMux) {
				flagz.Install(mux, component, flagz.NamedFlagSetsReader{FlagSets: o.copy().Flags()})
			}},
	}
	if o.Serving.Profiling {
		all = append(all, endpoint{"/debug/pprof/", "Profiles, for `go tool pprof`; only with `--profiling`.", installPprof})
	}
	return all
}

// newHandler returns what serves all endpoints, without access control.
func newHandler(o *Options, c checks) http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints(o, c) {
		e.install(mux)
	}
	return mux
}

// installStatusz installs /statusz, unless the binary was built with a version that is none: the package panics at such.
func installStatusz(mux *http.ServeMux, o *Options) {
	if _, err := utilversion.Parse(version.Get().String()); err != nil {
		return
	}
	var paths []string
	for _, e := range endpoints(o, checks{}) {
		paths = append(paths, e.path)
	}
	statusz.Install(mux, component, statusz.NewRegistry(nil, statusz.WithListedPaths(paths)))
}

// installPprof installs the handlers that package pprof installs in the default mux, which nobody serves here.
func installPprof(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}
