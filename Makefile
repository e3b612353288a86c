# Each target sets itself up: a virtual environment in .venv, with the pinned packages.
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c '$(SUITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Three workers for two cores, since tests wait for processes that they begin. A file's tests stay together,
# files that take longest come first (tests/balance.py).
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

SMOKE_PYTHON ?= $(PYTHON)

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-slow test-all coverage lint bench tensorboard dist smoke clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c '$(SUITS)' || \
		{ echo "Expected Python 3.11 to 3.13 on the path. Received: none. Use make PYTHON=..."; exit 1; }
	@echo "Setting up $(VENV) (a minute or two, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/ready ## Find winning tickets of LeNet-300-100 on the full MNIST
	$(BIN)/tf-lottery run mnist_lenet_demo

docs: $(VENV)/ready ## Build the documentation's site, strictly; open site/index.html
	$(BIN)/python docs/generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet -f .mkdocs.yml

test: $(VENV)/ready ## Run the tests
	$(PYTEST) -m "not slow and not exhaustive"

test-slow: $(VENV)/ready ## Run the longer tests
	$(PYTEST) -m "slow and not exhaustive"

test-all: $(VENV)/ready ## Run every test, whole matrices too
	$(PYTEST)

coverage: $(VENV)/ready ## Run both, and say which lines of tf_lottery none reaches
	$(PYTEST) -m "not exhaustive" --cov --cov-report=term-missing:skip-covered

lint: $(VENV)/ready ## Check style, formatting and the types of the public names
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready ## Measure our loop against Keras fit and tfmot
	$(BIN)/python benchmarks/steps.py lenet lenet_dropout conv2 --repeats 3

tensorboard: $(VENV)/ready ## Watch all studies in the browser
	$(BIN)/tf-lottery tensorboard

dist: $(VENV)/ready ## Build the wheel and the sdist in dist/, and check them
	rm -rf dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt twine
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

smoke: dist ## Install both in a fresh environment and use them (SMOKE_PYTHON=python3.12)
	$(BIN)/python tests/smoke.py dist/*.whl dist/*.tar.gz --python $(SMOKE_PYTHON) --tests tests/pruning tests/test_docs.py

clean: ## Remove the environment and caches; studies in saved_models/ stay
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
