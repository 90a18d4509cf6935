# All tasks of the repository. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# VERSION is what --version prints; without a tag, a development version with the git revision.
VERSION    ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-dev)
COMMIT     := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
TREE_STATE := $(shell test -z "$$(git status --porcelain 2>/dev/null)" && echo clean || echo dirty)
STAMP      := k8s.io/component-base/version
# Functions are aligned to 16 bytes, as in older versions of Go, not to 32. That saves 400 kB of the image.
LDFLAGS    := -s -w -funcalign=16 -X $(STAMP).gitVersion=$(VERSION) -X $(STAMP).gitCommit=$(COMMIT) -X $(STAMP).gitTreeState=$(TREE_STATE)

# The tag keeps gRPC's tracing out. That executes html/template, which calls methods by name, so that the linker would
# keep every method of every type: 61 MB instead of 40.
BUILD_TAGS := grpcnotrace

# The packages of /statusz and /flagz bring CEL, which never runs here. Without inlining in it, the image is 0.4 MB smaller.
GCFLAGS := github.com/google/cel-go/...=-l

# IMAGE:TAG is what `make image` builds and `make push` pushes, PLUGIN_IMAGE:TAG the plugin for `helm test`, and CHARTS the OCI repository below
# which the chart is pushed.
IMAGE        ?= ghcr.io/taint-manager/taint-manager
TAG          ?= dev
PLUGIN_IMAGE ?= $(patsubst ./%,%,$(dir $(IMAGE)))kubectl-taint-manager
CHARTS       ?= $(patsubst ./%,%,$(dir $(IMAGE)))charts
# The image has the time of the commit, so that a build of the same source has the same digest.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
BUILD_IMAGE = go -C .tools/image run . --root '$(CURDIR)' --out '$(CURDIR)/bin/image' --image '$(IMAGE)' $(IMAGE_FLAGS)
BUILD_PLUGIN_IMAGE = go -C .tools/image run . --program kubectl-taint_manager --root '$(CURDIR)' --out '$(CURDIR)/bin/plugin-image' \
	--image '$(PLUGIN_IMAGE)' $(IMAGE_FLAGS)
IMAGE_FLAGS = --tag '$(TAG)' \
	--version '$(VERSION)' --revision '$(COMMIT)' --epoch '$(SOURCE_DATE_EPOCH)' --tags '$(BUILD_TAGS)' --gcflags '$(GCFLAGS)' --ldflags '$(LDFLAGS)'
# The chart names the images, and its files have the same time. Its version is a semantic one.
BUILD_CHART = go -C .tools/chart run . --chart '$(CURDIR)/$(CHART)' --out '$(CURDIR)/bin/chart' --image '$(IMAGE)' --plugin-image '$(PLUGIN_IMAGE)' \
	--tag '$(TAG)' --version '$(VERSION)' --epoch '$(SOURCE_DATE_EPOCH)'
CHART := manifests/helm/taint-manager
CRD   := policy.taint-manager.io_taintevictionpolicies.yaml

# DOWNLOADS is the URL of the directory that will have the files of each version in one of its own; krew loads the plugin from there.
DOWNLOADS ?= https://github.com/taint-manager/taint-manager/releases/download
# ALLOW_DIRTY=1 makes a release of files that are not committed, to try it out.
ALLOW_DIRTY ?=
# RELEASE_OUT is where `make release` writes to. What is in it is removed.
RELEASE_OUT ?= $(CURDIR)/bin/release

# VULNDB is the database of known vulnerabilities, in the format of Go, as an https:// or file:// URL.
VULNDB ?= https://vuln.go.dev
# GOVULNCHECK is a version of its own: in .tools/go.mod it would raise the versions of modules that golangci-lint uses.
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# ACTIONLINT and CONTROLLER_GEN are versions of their own, for the same reason.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
CONTROLLER_GEN := sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0
# GENERATE_API writes, in the current directory, what is generated from the API types.
GENERATE_API := go run $(CONTROLLER_GEN) object:headerFile=.tools/boilerplate.go.txt crd paths=./pkg/apis/... output:crd:dir=manifests/crd

# FUZZTIME bounds the search of the fuzzer in `make test`.
FUZZTIME ?= 5s
# LINT is golangci-lint with kube-api-linter built in, of the versions that .tools pins. Go builds it once, which takes minutes, and keeps
# it in its cache.
LINT := go tool -modfile='$(CURDIR)/.tools/go.mod' golangci-lint-kube-api-linter

##@ See it run

.PHONY: demo
demo: ## Taint nodes of a real control plane and watch pods go (no Docker; the first time builds it, in minutes).
	go run ./e2e/demo

.PHONY: cluster
cluster: ## Start that control plane, print its kubeconfig, stop on Ctrl-C. NODES=3 makes nodes.
	go run ./e2e/framework/controlplane/cmd/cluster --nodes $(or $(NODES),3)

.PHONY: compare
compare: ## Print the comparison with the built-in controller: every row measured on both.
	go run ./e2e/conformance/compare

##@ Build

.PHONY: build
build: ## Build bin/taint-manager and the kubectl plugin, static and stamped with the git revision.
	CGO_ENABLED=0 go build -trimpath -tags '$(BUILD_TAGS)' -gcflags '$(GCFLAGS)' -ldflags '$(LDFLAGS)' -o bin/taint-manager ./cmd/taint-manager
	CGO_ENABLED=0 go build -trimpath -tags '$(BUILD_TAGS)' -gcflags '$(GCFLAGS)' -ldflags '$(LDFLAGS)' -o bin/kubectl-taint_manager ./cmd/kubectl-taint_manager

.PHONY: image
image: ## Build the container image for amd64 and arm64 into bin/image, reproducibly, with no Docker and no registry.
	@echo "Building the image (the first time takes minutes)"
	@$(BUILD_IMAGE)

.PHONY: plugin-image
plugin-image: ## Build the image of the kubectl plugin, which `helm test` runs, into bin/plugin-image.
	@echo "Building the image of the plugin (the first time takes minutes)"
	@$(BUILD_PLUGIN_IMAGE)

.PHONY: chart
chart: ## Package the Helm chart into bin/chart, reproducibly. It names IMAGE:TAG.
	@$(BUILD_CHART)

.PHONY: push
push: ## Build the images and the chart, and push them: make push IMAGE=registry.example.com/taint-manager TAG=v1 (after docker login).
	@echo "Building the images (the first time takes minutes)"
	@$(BUILD_IMAGE) --push
	@$(BUILD_PLUGIN_IMAGE) --push
	@$(BUILD_CHART) --push '$(CHARTS)'

.PHONY: release
release: ## Make all files of a release in bin/release, reproducibly: make release VERSION=v0.1.0. ALLOW_DIRTY=1 tries it out.
	@go -C .tools/release run . --root '$(CURDIR)' --out '$(RELEASE_OUT)' --version '$(VERSION)' --revision '$(COMMIT)' \
		--epoch '$(SOURCE_DATE_EPOCH)' --tags '$(BUILD_TAGS)' --gcflags '$(GCFLAGS)' --ldflags '$(LDFLAGS)' --image '$(IMAGE)' \
		--plugin-image '$(PLUGIN_IMAGE)' --charts '$(CHARTS)' --downloads '$(DOWNLOADS)' $(if $(ALLOW_DIRTY),--allow-dirty)

.PHONY: generate
generate: ## Write what is made from code or other files: the CustomResourceDefinition, the PrometheusRule, the JSON Schema of the audit log, and the tables of the reference and of the chart's values.
	$(GENERATE_API)
	go test -count=1 ./manifests -run '^TestPrometheusRule$$' -update
	cp manifests/crd/$(CRD) $(CHART)/files/$(CRD)
	go test -count=1 ./cmd/taint-manager/app -run '^(TestReference|TestAuditSchema)$$' -update
	go -C .tools/chart test -count=1 . -run '^TestREADME$$' -update

.PHONY: plugin-docs
plugin-docs: ## Run the kubectl plugin on a real control plane, write what it prints into its README, and record it on a terminal.
	go test -count=1 ./e2e/plugin -run '^(TestREADME|TestRecording)$$' -update

.PHONY: dashboard-picture
dashboard-picture: ## Run test-monitoring, and draw the dashboard of what Prometheus answers into manifests/monitoring/dashboard.png.
	go test -timeout 40m -count=1 -v ./e2e/monitoring -run '^TestAlertsFire$$' -picture '$(CURDIR)/manifests/monitoring/dashboard.png'

.PHONY: clean
clean: ## Remove what was built here. (The control plane's programs stay in the user's cache directory.)
	rm -rf bin coverage.out

##@ Measure

.PHONY: bench
bench: ## Measure storms, memory, start and idle churn beside the built-in controller, and mechanisms beside plain ones (50 minutes). NODES=50 PODS_PER_NODE=100.
	go run ./e2e/performance/storm $(if $(NODES),--nodes=$(NODES)) $(if $(PODS_PER_NODE),--pods-per-node=$(PODS_PER_NODE)) $(BENCH_FLAGS)
	go run ./e2e/performance/churn

.PHONY: scale
scale: ## Feed the controller 65,000 nodes and 1,000,000 pods in one process, and say what that costs (10 minutes).
	go run ./e2e/performance/scale

.PHONY: bench-go
bench-go: ## Run the Go benchmarks.
	go test -run '^$$' -bench . -benchmem ./pkg/...

##@ Check

.PHONY: test
test: test-unit test-fuzz test-simulation test-defects test-image test-chart test-release test-e2e ## Run all tests that need no Docker, with the race detector.
test: CATCHES = 1
test: SEEDS = 5000

.PHONY: test-unit
test-unit: ## Run the unit tests and the whole-controller tests in virtual time; print the coverage of pkg.
	go test -race -coverprofile=coverage.out ./pkg/... ./cmd/...
	@go tool cover -func=coverage.out | grep -v pkg/testing/ | awk '$$NF != "100.0%"' | tail -n 60
	@result=$$(go test -cover ./pkg/deadline); echo "$$result"; grep -q 'coverage: 100.0%' <<<"$$result" || { echo "pkg/deadline must be covered to 100 %"; exit 1; }

.PHONY: test-fuzz
test-fuzz: ## Search for inputs on which pkg/deadline, or what it is given, and an oracle differ, for FUZZTIME each.
	go test -run '^$$' -fuzz FuzzDecide -fuzztime $(FUZZTIME) ./pkg/deadline
	go test -run '^$$' -fuzz FuzzObjects -fuzztime $(FUZZTIME) ./pkg/testing/simulation

.PHONY: test-simulation
test-simulation: ## Run the whole controller under faults, in virtual time, for 400 seeds (see make simulate).
	go test -race -count=1 -v -timeout 30m ./pkg/testing/simulation -run '^TestSimulation$$' -seeds 400

.PHONY: test-defects
test-defects: ## Put known defects into the controller, and show that the simulation finds each, and by how many of 150 seeds.
	@set -o pipefail; go test -count=1 -v -timeout 30m ./pkg/testing/simulation -run '^TestDefectsAreCaught$$' -defect-seeds $(or $(SEEDS),150) $(if $(CATCHES),-defect-catches $(CATCHES)) | grep -v -e '^=== ' -e '^ *--- PASS'

.PHONY: simulate
simulate: ## Simulate: SEEDS=10000 runs that many (from FIRST=1), SEED=123 replays one until it fails, 20 times at most, and tells everything.
	go test -count=1 -v -timeout 0 ./pkg/testing/simulation -run '^TestSimulation$$' $(if $(SEED),-seed $(SEED) -seeds 1 -repeat 20 -failures 1,-seed $(or $(FIRST),1) -seeds $(or $(SEEDS),10000))

.PHONY: test-image
test-image: ## Build the image twice, compare, look into it, and push it to a registry on loopback.
	go -C .tools/image test -timeout 40m -count=1 ./...

.PHONY: test-chart
test-chart: ## Render the Helm chart: each value, each bad value, and that it equals what kustomize makes; package it and push it to a registry on loopback.
	go -C .tools/chart test -timeout 40m -count=1 ./...

.PHONY: test-release
test-release: ## Make a release twice, compare, look into it, and install the plugin by krew.
	go -C .tools/release test -timeout 40m -count=1 ./...

.PHONY: test-e2e
test-e2e: ## Run the built binary against a real control plane (the first time builds it, in minutes).
	go run ./e2e/framework/controlplane/cmd/cluster --build-only
	go -C e2e/terminal test -race -count=1 ./...
	go test -timeout 40m -count=1 ./e2e/monitoring -run '^TestPrograms$$'
	go test -race -run '^$$' ./e2e/... >/dev/null
	@echo "Two packages at a time: ./e2e, and those below it one after another"
	@go test -race -timeout 60m -count=1 -p 1 $$(go list ./e2e/... | grep -v '/e2e$$') & below=$$!; trap "kill $$below" INT TERM; \
	go test -race -timeout 60m -count=1 -v ./e2e; result=$$?; \
	wait $$below && exit $$result

.PHONY: test-monitoring
test-monitoring: ## Fire each alert by the fault it is for, with a real Prometheus (5 minutes; part of test-e2e; the first time builds that, in minutes).
	go run ./e2e/framework/controlplane/cmd/cluster --build-only
	go test -race -timeout 40m -count=1 -v ./e2e/monitoring

.PHONY: test-faults
test-faults: ## Kill, pause and withhold what the controller needs, in storms, and count the pods (7 minutes; part of test-e2e).
	go test -race -timeout 30m -count=1 -v ./e2e -run '^TestFault'

.PHONY: test-upstream
test-upstream: ## Run Kubernetes' own e2e cases of NoExecuteTaintManager against ours (12 minutes; builds its test binary).
	go run ./e2e/conformance

.PHONY: test-versions
test-versions: ## Run the black-box rows against Kubernetes 1.29 to the newest and print a table (VERSIONS="1.29.15 1.37.2" picks; builds each once).
	go run ./e2e/conformance/versions $(VERSIONS_FLAGS) $(VERSIONS)

.PHONY: e2e
e2e: ## Run the tests on real kubelets: image, kind cluster, deployment (20 minutes, Docker). KEEP=1 keeps the cluster, RUN=name picks tests.
	go run ./e2e/kind

.PHONY: verify
verify: verify-format verify-vet verify-tidy verify-layers verify-generated verify-workflows lint vulncheck ## Check formatting, vet, go.mod files, layering, documents, workflows, lint and vulnerabilities.

.PHONY: verify-format
verify-format: ## Check that gofmt has nothing to change.
	@files=$$(gofmt -l cmd pkg e2e .tools); test -z "$$files" || { echo "gofmt would change: $$files; run: gofmt -w $$files"; exit 1; }

.PHONY: verify-vet
verify-vet: ## Run go vet.
	go vet -tags kind ./...
	cd .tools/image && go vet ./...
	cd .tools/chart && go vet ./...
	cd .tools/release && go vet ./...
	cd e2e/terminal && go vet ./...

.PHONY: verify-tidy
verify-tidy: ## Check that go mod tidy has nothing to change, in each module.
	go mod tidy -diff
	cd e2e/framework/controlplane/servers && go mod tidy -diff
	cd e2e/kind/tools && go mod tidy -diff
	cd e2e/monitoring/tools && go mod tidy -diff
	cd e2e/terminal && go mod tidy -diff
	cd .tools && go mod tidy -diff
	cd .tools/image && go mod tidy -diff
	cd .tools/chart && go mod tidy -diff
	cd .tools/release && go mod tidy -diff

.PHONY: verify-layers
verify-layers: ## Check that imports point down, and that what documents and workflows name exists.
	go test ./pkg

.PHONY: verify-generated
verify-generated: ## Check that what make generate writes is up to date.
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && \
	tar -cf - go.mod go.sum .tools/boilerplate.go.txt pkg/apis manifests/crd | tar -xf - -C "$$copy" && (cd "$$copy" && $(GENERATE_API)) && \
	diff -ru pkg/apis "$$copy/pkg/apis" && diff -ru manifests/crd "$$copy/manifests/crd" || { echo 'run: make generate'; exit 1; }
	diff -u manifests/crd/$(CRD) $(CHART)/files/$(CRD) || { echo 'run: make generate'; exit 1; }
	go test ./cmd/taint-manager/app -run '^(TestReference|TestAuditSchema)$$'
	go -C .tools/chart test . -run '^TestREADME$$'
	go test ./manifests -run '^TestPrometheusRule$$'

.PHONY: verify-workflows
verify-workflows: ## Check the workflows of CI with actionlint. (verify-layers checks the make targets in them.)
	go run $(ACTIONLINT) -shellcheck= -pyflakes=

.PHONY: lint
lint: ## Run golangci-lint.
	@echo "golangci-lint (the first time builds it, which takes minutes)"
	$(LINT) run --build-tags kind ./...
	$(LINT) run --enable-only kubeapilinter ./pkg/apis/policy/...
	cd .tools/image && $(LINT) run -c ../../.golangci.yaml ./...
	cd .tools/chart && $(LINT) run -c ../../.golangci.yaml ./...
	go -C .tools/chart tool helm lint --strict '$(CURDIR)/$(CHART)'
	cd .tools/release && $(LINT) run -c ../../.golangci.yaml ./...
	cd e2e/terminal && $(LINT) run -c ../../.golangci.yaml ./...

# Without the Internet, curl ends with one of these codes: no connection, a timeout, no answer, or an untrusted certificate.
.PHONY: vulncheck
vulncheck: ## Check for known vulnerabilities in what we call, with govulncheck; skipped if its database is not reachable.
	@curl -fsS --max-time 15 -o /dev/null '$(VULNDB)/index/db.json'; case $$? in \
	0) go run $(GOVULNCHECK) -db '$(VULNDB)' ./... ;; \
	5|6|7|16|28|35|52|55|56|60|92|97) echo 'Skipped the check for known vulnerabilities: cannot reach $(VULNDB).' ;; \
	*) echo 'Cannot read $(VULNDB)/index/db.json: set VULNDB to a vulnerability database in the format of Go.'; exit 1 ;; \
	esac

##@ Help

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
