# `make help` lists everything.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
WORKERS ?= auto
.NOTPARALLEL:

.PHONY: help
help: ## List what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv; nothing to do when it is up to date
	@sh scripts/setup.sh

.PHONY: demo
demo: setup ## Run the main job on a local cloud and show what happened
	@$(BIN)/triggerfish demo

.PHONY: test
test: lint types imports unit cloud ## Run every check and every test

.PHONY: lint
lint: setup ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: setup ## Check types
	$(BIN)/mypy
	$(BIN)/mypy scripts

.PHONY: imports
imports: setup ## Check which part may import which
	$(BIN)/lint-imports

.PHONY: unit
unit: setup ## Run the tests that start no process
	$(PYTEST) -n $(WORKERS) -m "not cloud and not slow"

.PHONY: cloud
cloud: setup ## Run the tests that start the local cloud
	$(PYTEST) -m "cloud and not slow"

.PHONY: slow
slow: setup ## Run the tests that take more than half a minute each
	$(PYTEST) -m slow

.PHONY: bench
bench: setup ## Measure; each script prints its figure and the machine
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

.PHONY: format
format: setup ## Rewrite the code as the formatter wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: requirements
requirements: setup ## Pin again what pyproject.toml and requirements/*.in ask for; UPGRADE=1 takes the newest
	@sh scripts/requirements.sh $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove what was made: .venv, caches, the local cloud's state
	rm -rf .venv .triggerfish .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} +
