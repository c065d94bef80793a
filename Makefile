# `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What runs in the image, whatever runs here: its Python on Linux, on this machine's architecture.
ARCH := $(subst arm64,aarch64,$(shell uname -m))
IMAGE_WHEELS := --only-binary=:all: --python-version 3.11 $(foreach libc,17 28,--platform manylinux_2_$(libc)_$(ARCH)) \
  --platform manylinux2014_$(ARCH)

.PHONY: help setup demo test lint fmt docs bench wheel wheelhouse image clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "miniplane needs Python 3.11 or later; set PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.ready requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.dev  ## make .venv with the pinned versions and the development tools

demo: $(VENV)/.ready  ## run the main job: a three-node cluster with the seed's manifests, checked by doing
	$(BIN)/miniplane up --nodes 3 --demo $(DEMO_FLAGS)

test: setup  ## run the tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: setup  ## formatting, style, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## renew the generated pages of the documentation
	$(BIN)/python docs/reference/generate.py
	$(BIN)/python docs/reference/kinds/generate.py
	$(BIN)/python docs/reference/roles/generate.py
	$(BIN)/python docs/explanation/situations/generate.py

bench: setup  ## measure, each figure beside its limit
	$(BIN)/python bench/run.py

wheel: setup  ## build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m hatchling build

wheelhouse: wheel  ## fetch the wheels that the image installs into dist/wheelhouse/
	$(BIN)/python -m pip download --quiet --disable-pip-version-check -d dist/wheelhouse -c constraints.txt \
	  $(IMAGE_WHEELS) dist/miniplane-*.whl

image: wheelhouse  ## build the container image from the wheel and wheels of its dependencies
	docker build -t miniplane -f deploy/Dockerfile $(IMAGE_FLAGS) .

clean:  ## remove what the targets above made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
