# `make` lists the targets. Everything is installed into .venv; scripts/environment.sh says how.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-faults test-full simulation lint format lock dev servers docs bench

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
PYTEST_ARGS ?=
DIR ?= .demo

# One thread per process: a busy machine makes two OpenMP threads 50 times slower than one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

# Whatever imports Airflow writes its configuration file: here, not in the home folder.
test test-quick test-faults test-full simulation docs bench: export AIRFLOW_HOME := $(CURDIR)/.airflow-test

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

.venv/.installed-%: pyproject.toml constraints.txt scripts/environment.sh
	@scripts/environment.sh $*

demo: .venv/.installed-$(if $(SERVERS),dev,demo) ## real models on real flights in a real Airflow (SERVERS=1, KEEP=1 leaves it up, DIR=folder)
	@$(if $(SERVERS),$(BIN)/python -m tests.servers mongo minio consul --) \
		$(BIN)/exia demo --folder "$(DIR)" $(if $(SERVERS),--connection exia_default --parameters consul_default) \
		$(if $(KEEP),--keep-up)

test: .venv/.installed-dev ## every test but the longest, and the import on other Pythons
	@scripts/check_pythons.sh
	@$(PYTEST) -m "not full" $(PYTEST_ARGS)

test-quick: .venv/.installed-dev ## unit, contract and simulation tests, without Airflow processes and real servers
	@$(PYTEST) -m "not airflow and not full and not servers" $(PYTEST_ARGS) $(wildcard tests/unit tests/contract tests/simulation)

test-faults: .venv/.installed-dev ## kills, races, lost replies, lost servers and attacks, as often as they are counted
	@$(PYTEST) $(PYTEST_ARGS) tests/faults

test-full: .venv/.installed-dev ## every test
	@scripts/check_pythons.sh
	@$(PYTEST) $(PYTEST_ARGS)

simulation: .venv/.installed-dev ## every interleaving of two library operations, and the guards
	@$(BIN)/python -m tests.simulation

lint: .venv/.installed-dev ## style, types, rooms and module length
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_module_length.py

format: .venv/.installed-dev ## put every file into the common form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: .venv/.installed-dev ## refresh constraints.txt to the newest versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --no-annotate --upgrade \
		pyproject.toml --output-file constraints.txt

dev: .venv/.installed-dev ## an environment to develop in
	@echo "ready: source $(BIN)/activate"

servers: .venv/.installed-dev ## keep the real servers up and print the connections to paste, until Ctrl-C
	@$(BIN)/python -m tests.servers

docs: .venv/.installed-dev ## run the code blocks of README.md and docs
	@$(PYTEST) $(PYTEST_ARGS) tests/docs

bench: .venv/.installed-dev ## measure one figure (NAME=module in bench)
	@$(if $(NAME),$(BIN)/python -m bench.$(NAME),echo "name one: make bench NAME=<module in bench>"; exit 2)
