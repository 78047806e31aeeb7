# Two commands matter: `make run` opens ADAN, `make test` runs the whole suite.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test quick check install bench clean
.DEFAULT_GOAL := run

run: install
	@$(BIN)/adan-tui

test: install
	@$(BIN)/pytest

quick: install
	@$(BIN)/pytest -m "not slow" tests/unit

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)
