# Every command of a developer. A fresh machine needs only Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
READY := .venv/.ready
RUN := .venv/bin/python

AUDIT := .venv-audit/bin
LOCKS := requirements.lock requirements-dev.lock requirements-audit.lock requirements-bench.lock

.PHONY: help demo up unit test check bench lock audit sbom clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# `exec`, so that a signal sent to make's child is sent to Python and not to a shell around it.
demo: $(READY) ## Start everything on temporary data, make seven generations, check all of it (ARGS=--keep)
	@exec $(RUN) -m devstack demo $(ARGS)

up: $(READY) ## Run the whole stack until Ctrl-C; its data stays in .darkroom/
	@exec $(RUN) -m devstack up $(ARGS)

unit: $(READY) ## Run the tests that need no server or simulator, in about a minute (ARGS="-k name")
	@exec $(RUN) -m pytest -n 4 --dist loadfile -m "not needs_servers and not slow" $(ARGS)

test: $(READY) ## Run every test against real servers (ARGS="-k name")
	@$(RUN) -m devstack install --tests
	@exec $(RUN) -m pytest -n 4 --dist loadfile $(ARGS)

check: $(READY) ## Lint, formatting, types, and which way imports point
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy .
	.venv/bin/lint-imports

bench: $(READY) ## Run all benchmarks, or some (ARGS="throughput memory"; docs/benchmarks.md)
	@exec $(RUN) -m benchmarks $(or $(ARGS),all)

lock: $(READY) ## Pin every dependency again, with hashes and without any index's address
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements.lock pyproject.toml
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements-dev.lock pyproject.toml --group dev
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements-audit.lock --group audit
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements-bench.lock pyproject.toml --group bench --constraint requirements.lock

audit: .venv-audit/.ready ## Look up every locked package in the published advisories; a package not found fails
	@failed=0; for lock in $(LOCKS); do echo "$$lock:"; $(AUDIT)/pip-audit --strict --disable-pip \
		--require-hashes --progress-spinner off --requirement $$lock $(ARGS) || failed=1; done; exit $$failed

sbom: .venv-audit/.ready ## Write sbom.json, a CycloneDX list of what the service consists of, from requirements.lock
	@exec $(AUDIT)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON \
		--output-file sbom.json requirements.lock

clean: $(READY) ## Remove the data of `make up`
	@exec $(RUN) -m devstack clean

.venv-audit/.ready: requirements-audit.lock
	@$(PYTHON) -m venv .venv-audit
	@$(AUDIT)/python -m pip install --quiet --require-hashes --no-deps --disable-pip-version-check \
		-r requirements-audit.lock
	@touch $@

$(READY): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Darkroom needs Python 3.11 or newer. Name one with: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "This Python has no venv with pip in it. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "making .venv …"
	@$(PYTHON) -m venv .venv
	@echo "installing the packages of requirements-dev.lock (about a minute, once) …"
	@.venv/bin/python -m pip install --require-hashes --no-deps --disable-pip-version-check \
		--progress-bar on -r requirements-dev.lock
	@touch $(READY)
