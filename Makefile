# Everything that one does here. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# VERSION is what --version prints; without a tag, a development version with the git revision.
VERSION    ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-dev)
COMMIT     := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
TREE_STATE := $(shell test -z "$$(git status --porcelain 2>/dev/null)" && echo clean || echo dirty)
STAMP      := k8s.io/component-base/version
LDFLAGS    := -s -w -X $(STAMP).gitVersion=$(VERSION) -X $(STAMP).gitCommit=$(COMMIT) -X $(STAMP).gitTreeState=$(TREE_STATE)

# FUZZTIME bounds the search of the fuzzer in `make test`.
FUZZTIME ?= 20s
# LINT is golangci-lint of the version that .tools pins. Go builds it once, which takes minutes, and keeps it in its cache.
LINT := go tool -modfile=.tools/go.mod golangci-lint

##@ See it run

.PHONY: demo
demo: ## Taint nodes of a real control plane and watch pods go (no Docker; the first time builds it, in minutes).
	go run ./e2e/demo

.PHONY: cluster
cluster: ## Start that control plane, print its kubeconfig, stop on Ctrl-C. NODES=3 makes nodes.
	go run ./e2e/controlplane/cmd/cluster --nodes $(or $(NODES),3)

.PHONY: compare
compare: ## Print the comparison with the built-in controller: every row measured on both.
	go run ./e2e/compare

##@ Build

.PHONY: build
build: ## Build bin/taint-manager, static and stamped with the git revision.
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/taint-manager ./cmd/taint-manager

.PHONY: clean
clean: ## Remove what was built here. (The control plane's programs stay in the user's cache directory.)
	rm -rf bin coverage.out

##@ Check

.PHONY: test
test: test-unit test-fuzz test-e2e ## Run all tests that need no Docker, with the race detector.

.PHONY: test-unit
test-unit: ## Run the unit tests and the whole-controller tests in virtual time; print the coverage of pkg.
	go test -race -coverprofile=coverage.out ./pkg/... ./cmd/...
	@go tool cover -func=coverage.out | grep -v pkg/apitest | awk '$$NF != "100.0%"' | tail -n 60
	@go test -cover ./pkg/deadline | tee /dev/stderr | grep -q 'coverage: 100.0%' || { echo "pkg/deadline must be covered to 100 %"; exit 1; }

.PHONY: test-fuzz
test-fuzz: ## Search for inputs on which pkg/deadline and its oracle differ, for FUZZTIME.
	go test -run '^$$' -fuzz FuzzDecide -fuzztime $(FUZZTIME) ./pkg/deadline

.PHONY: test-e2e
test-e2e: ## Run the built binary against a real control plane (the first time builds it, in minutes).
	go run ./e2e/controlplane/cmd/cluster --build-only
	go test -race -timeout 30m -count=1 ./e2e/...

.PHONY: test-upstream
test-upstream: ## Run Kubernetes' own e2e cases of NoExecuteTaintManager against ours (12 minutes; builds its test binary).
	go run ./e2e/upstream

.PHONY: bench
bench: ## Run the Go benchmarks.
	go test -run '^$$' -bench . -benchmem ./pkg/...

.PHONY: verify
verify: verify-format verify-vet verify-tidy verify-layers lint ## Check formatting, vet, go.mod files, layering and lint.

.PHONY: verify-format
verify-format: ## Check that gofmt has nothing to change.
	@files=$$(gofmt -l cmd pkg e2e); test -z "$$files" || { echo "gofmt would change: $$files; run: gofmt -w $$files"; exit 1; }

.PHONY: verify-vet
verify-vet: ## Run go vet.
	go vet ./...

.PHONY: verify-tidy
verify-tidy: ## Check that go mod tidy has nothing to change, in each module.
	go mod tidy -diff
	cd e2e/controlplane/servers && go mod tidy -diff
	cd .tools && go mod tidy -diff

.PHONY: verify-layers
verify-layers: ## Check that imports point down.
	go test ./pkg

.PHONY: lint
lint: ## Run golangci-lint.
	@echo "golangci-lint (the first time builds it, which takes minutes)"
	$(LINT) run ./...

##@ Help

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
