# `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench bench-http profile lint format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ruleforge needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 …"; exit 2; }
	@echo "Creating $(VENV) and installing the pinned packages (a few minutes the first time) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

setup: $(STAMP) ## install into .venv, compile and cache the kernels
	@$(BIN)/python -m tasks.warm_up

demo: setup ## run the main job for real: evolve a reward rule, draw the best
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@$(BIN)/ruleforge evolve reward --seed 1 --db sqlite:///$(DEMO)/ruleforge.db
	@$(BIN)/ruleforge show best --figure $(DEMO)/best.png --db sqlite:///$(DEMO)/ruleforge.db

test: setup ## the whole test suite, on all cores
	@$(BIN)/python -m pytest -n auto

bench: setup ## side by side with C, NEST, Brian2 and hal-cgp, and pages of a large record; writes benchmarks/results.md
	@$(BIN)/python -m benchmarks.run

bench-http: setup ## how soon the service answers while a job runs
	@$(BIN)/python -m benchmarks.http

profile: setup ## where the time of a whole evolve run goes; writes docs/performance.md
	@$(BIN)/python -m benchmarks.profile

lint: $(STAMP) ## style, types, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## let ruff rewrite the sources
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## resolve the dependencies anew into constraints.txt (needs uv)
	@{ echo "# What setup, tests and demo install, on every supported Python: written by 'make lock', do not edit."; \
	  uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev --no-annotate --no-header --no-emit-index-url pyproject.toml; } >constraints.new
	@mv constraints.new constraints.txt

clean: ## remove .venv and what was built
	@rm -rf $(VENV) $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
