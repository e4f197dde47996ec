# make book and make test are the two commands; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help book notebooks test check bench serve lab sync lock clean

PROFILE ?= quick
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
TORCH := $(shell grep '^torch==' requirements.lock)
PIP := $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS := 1

help:  ## this list
	@echo "make book        build the book, build/html/index.html (PROFILE=quick or full)"
	@echo "make test        run all tests"
	@echo "make notebooks   execute the notebooks only (PROFILE=quick or full)"
	@echo "make serve       show the built book on http://127.0.0.1:8000"
	@echo "make lab         open copies of the chapters in JupyterLab, to work in (build/lab)"
	@echo "make sync        bring notebooks/*.ipynb and notebooks/source/*.py in line, without outputs"
	@echo "make check       ruff, formatting, types, layers"
	@echo "make bench       time the package beside its public peers, about ten minutes (ONLY=lookahead,solvers: a part)"
	@echo "make lock        write requirements.lock from .venv"
	@echo "make clean       remove build/ and results/quick/ (make clean VENV=1: .venv too)"

# The CPU build of torch is taken where the configured index offers it (README); it is several times smaller.
$(READY): pyproject.toml setup.py requirements.lock
	@echo "Preparing .venv with $(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install -q -c requirements.lock "$(TORCH)+cpu" 2>/dev/null || $(PIP) install -q -c requirements.lock "$(TORCH)"
	@$(PIP) install -q -c requirements.lock -e ".[train,testbed,connect,bench,book,dev]"
	@touch $@

book: $(READY)
	@$(BIN)/doit profile=$(PROFILE) book
	@echo "The book is at $(CURDIR)/build/html/index.html"

notebooks: $(READY)
	@$(BIN)/doit profile=$(PROFILE) notebook

test: $(READY)
	@$(BIN)/python -m pytest -q

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_layers.py

bench: $(READY)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

serve: $(READY)
	@test -f build/html/index.html || { echo "There is no book yet: make book"; exit 2; }
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory build/html

lab: $(READY)
	@$(PIP) install -q -c requirements.lock -e ".[lab]"
	@$(BIN)/python -c "from pathlib import Path; from netrollout.workflow.reader import write_readers; \
		write_readers(Path.cwd(), Path('build/lab'), keep=True)"
	@$(BIN)/jupyter lab build/lab

sync: $(READY)
	@$(BIN)/jupytext --quiet --sync $(wildcard notebooks/*.ipynb notebooks/source/*.py)
	@$(BIN)/jupyter nbconvert --log-level WARN --clear-output --inplace notebooks/*.ipynb

lock: $(READY)
	@$(PIP) freeze --exclude-editable | grep -v ' @ ' | sed -E 's/\+[a-z0-9.]+$$//' > requirements.lock
	@touch $(READY)

clean:
	@rm -rf build results/quick $(if $(VENV),.venv)
