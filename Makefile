# Everything here can be repeated: a step that is done says so and does nothing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

CONFIG ?= configs/quickstart.yaml
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help setup engine images image assets data cycle test lint unit docs attack faults engines bench stop clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) engine images ## Prepare this machine: .venv, a Docker engine where none answers, the quickstart's images

$(INSTALLED): pyproject.toml docker/setup.sh
	@PYTHON=$(PYTHON) docker/setup.sh venv
	@touch $@

engine: $(INSTALLED)
	@docker/setup.sh engine

images:
	@docker/setup.sh images

image: setup ## Build the sandbox image that CONFIG names, unless it is up to date
	@$(BIN)/orchestrate image build --config $(CONFIG)

assets: setup ## Fetch the model and the corpus that CONFIG names
	@$(BIN)/orchestrate fetch --config $(CONFIG)

data: setup ## Lay out the images of CONFIG's protocol
	@$(BIN)/orchestrate data prepare --config $(CONFIG)

cycle: image assets data ## Set everything up and run, or continue, the cycles of CONFIG (default: the quickstart)
	$(BIN)/orchestrate cycle --config $(CONFIG)

lint: $(INSTALLED) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(INSTALLED) ## Run the tests that need no Docker
	$(BIN)/pytest tests/unit

docs: $(INSTALLED) ## Write those parts of docs/ anew that follow from the code
	$(BIN)/python -m tests.docs

test: image assets data lint ## Set everything up, check style and types, and run all tests
	$(BIN)/pytest

attack: image data ## Run every hostile program under runc and gVisor, and print what each got
	$(BIN)/python -m tests.adversarial.attack

faults: image data ## Do every fault to small runs with an engine of their own, and print what each came to
	$(BIN)/python -m tests.faults

engines: image data ## Try the sandbox on every engine that can be had here, and print what each does
	$(BIN)/python -m tests.engines

bench: image assets data ## Measure beside what people would use instead; ROWS="claim failing" runs only those
	$(BIN)/python -m tests.benchmarks $(ROWS)

stop: ## Stop the Docker engine that `make setup` started by itself, and no other
	@docker/setup.sh stop

clean: ## Remove what set-up and tools made; runs/ and .cache/ (models, data, wheels) stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
