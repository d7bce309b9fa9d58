# `make` without a target shows the help. Everything is installed into .venv and the cache folder of `python -m dev.cluster`;
# nothing else on the machine is changed, except for Debian packages that kind needs (see docs/development.md).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GENERATED := crds charts/podrelay/files

# If the environment disables the bytecode cache of Python, each of about a thousand processes compiles all modules again.
export PYTHONDONTWRITEBYTECODE :=

# Its programs are written in Go; this setting trades memory for speed.
CONTROL_PLANE := GOGC=400 $(BIN)/python -m dev.cluster up control-plane
DASHBOARD := tests/integration/dashboard
KIND := $(BIN)/python -m dev.cluster up kind --nodes 3 --replace

.PHONY: clusters
clusters: $(VENV)/ready
	@$(CONTROL_PLANE)
	@$(KIND)

.PHONY: help demo test check unit integration browser e2e mutants bench format generate docs lock venv up down status clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1mmake %-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready ## A cluster, the operator, and real task runs from start to end, live in the terminal
	@$(BIN)/python -m dev.demo

# The integration tests take as long as all others, which wait for real nodes and a browser most of the time.
test: check clusters ## Everything: check, unit, integration, browser and e2e tests
	@$(BIN)/python -m dev.tools.parallel $(MAKE) --no-print-directory --keep-going unit e2e browser -- $(MAKE) --no-print-directory integration

check: $(VENV)/ready ## Format, lint, types, import rules, generated files, words: seconds
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/tmp/podrelay-imports.$$$$ || { cat /tmp/podrelay-imports.$$$$; rm /tmp/podrelay-imports.$$$$; exit 1; }; rm -f /tmp/podrelay-imports.*
	@$(BIN)/python -m dev.tools.drift
	@$(BIN)/python -m dev.tools.locks --check
	@$(BIN)/python -m dev.tools.words
	@$(BIN)/python -m dev.pages.check
	@echo "check: all good"

unit: $(VENV)/ready ## Unit tests: without a cluster, four minutes
	@$(BIN)/pytest tests/unit -q --numprocesses=2

integration: $(VENV)/ready ## Integration tests: a real API server (built on first use: some minutes)
	@$(CONTROL_PLANE)
	@$(BIN)/pytest tests/integration -q --ignore=$(DASHBOARD) --numprocesses=3 --dist=loadscope --no-loadscope-reorder

# In a process of its own: while a browser is open, no other event loop can run in its process.
browser: $(VENV)/ready ## Tests of the dashboard in a real browser, with a real API server
	@$(CONTROL_PLANE)
	@$(BIN)/pytest $(DASHBOARD) -q

e2e: $(VENV)/ready ## End-to-end tests: real pods on a kind cluster of three nodes
	@$(KIND)
	@$(BIN)/pytest tests/e2e -q

mutants: $(VENV)/ready ## Break the relay in many ways, and check that the tests fail
	@$(BIN)/python -m dev.tools.mutants

bench: $(VENV)/ready ## Measure the relay: compared with others, and while idle (docs/performance.md; JSON=FILE)
	@$(BIN)/python -m dev.benchmarks relay $(if $(JSON),--json $(JSON))
	@$(BIN)/python -m dev.benchmarks idle
	@$(BIN)/python -m dev.benchmarks handover

format: $(VENV)/ready ## Format the code and apply the automatic fixes of the linter
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

generate: $(VENV)/ready ## Write all generated files: CRDs, the operator's role, the API reference
	@$(BIN)/python -m dev.tools.generate

docs: $(VENV)/ready ## The documentation as a static site in build/site, its links checked
	@$(BIN)/python -m dev.tools.site

lock: $(VENV)/ready ## Lock the packages in the images to the newest versions that pyproject.toml allows, with hashes
	@$(BIN)/python -m dev.tools.locks

venv: $(VENV)/ready ## Install Podrelay and the tools that build its images into .venv

up: $(VENV)/ready ## Start the kind cluster of this checkout
	@$(BIN)/python -m dev.cluster up kind

down: ## Remove all clusters of this checkout completely
	@$(PYTHON) -m dev.cluster down

status: ## Show which clusters of this checkout run
	@$(PYTHON) -m dev.cluster status

clean: down ## Also remove the virtual environment
	rm -rf $(VENV) build dist

# Debian and Ubuntu ship Python without the module that creates virtual environments.
.PHONY: venv-package
venv-package:
	@command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] || { echo "Python cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "installing python3-venv ..."
	@apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Podrelay needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "installing Podrelay and its tools into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { $(MAKE) --no-print-directory venv-package && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
