# The exact torch build lives here and nowhere else. 2.13.0 is a CPU build on the usual index;
# for a GPU: make TORCH="torch==2.13.0+cu130 --index-url <your CUDA index>" install
TORCH ?= torch==2.13.0
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: demo test lint types imports bench docs fuzz install dev clean

install: $(VENV)/.installed

# torch first and pinned: a range resolved afresh would take the newest, CUDA build (gigabytes)
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

dev: $(VENV)/.dev

# pip below 25.1 cannot read [dependency-groups], hence the small script
$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev']))" > $(VENV)/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement $(VENV)/dev.txt
	touch $@

demo: install
	$(BIN)/inoculate demo

test: dev
	$(BIN)/python -m pytest

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry src

types: dev
	$(BIN)/mypy

imports: dev
	$(BIN)/lint-imports

bench: dev
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/scan.py

fuzz: dev
	$(BIN)/python -m tests.fuzz

docs: dev
	$(BIN)/python -m pytest tests/test_docs.py

clean:
	rm -rf $(VENV) build dist
