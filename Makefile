# Two commands matter: `make run` opens ADAN, `make test` runs the whole suite. Both install what
# they need into .venv first, once: again only when pyproject.toml or constraints.txt has changed.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/peers/.installed

.DEFAULT_GOAL := run
.PHONY: run test quick check install bench tour ship-model picture

run: install
	@exec $(BIN)/adan-tui

test: install
	@$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered

quick: install
	@HYPOTHESIS_PROFILE=quick $(BIN)/pytest -n auto --dist worksteal -m "not slow" tests/unit

check: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@$(BIN)/deptry .
	@$(MAKE) --no-print-directory test

bench: install $(PEERS)
	@$(BIN)/python -m tests.benchmarks $(BENCH)

# What `make bench` measures ADAN beside lives apart from what ADAN needs.
# Of some only an environment is wanted: they come alone, and a row says so of one that can't be had.
$(PEERS): tests/benchmarks/peers.txt tests/benchmarks/peers_alone.txt | install
	@$(BIN)/python -m venv --clear $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@for peer in $$(grep -v '^#' tests/benchmarks/peers_alone.txt); do \
		$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $$peer \
		|| true; \
	done
	@touch $@

# README's commands and a scripted tour of the screen, under coverage; lists what nobody entered.
tour: install
	@$(BIN)/python -m tests.tour

# conda's list of the same versions; a test compares the two.
environment.yml: constraints.txt pyproject.toml | install
	@$(BIN)/python -m tests.house.environment_file > $@

install: $(STAMP)

# PYTHON=... chooses the interpreter; otherwise 3.11, which the pinned versions were tried with, else a newer one.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(BIN)/python -c "$$new_enough" 2>/dev/null; then \
		for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
			if $$python -c "$$new_enough" 2>/dev/null; then chosen=$$python; break; fi; \
		done; \
		if [ -z "$$chosen" ]; then \
			echo "ADAN needs Python 3.11 or newer and found none: install it, or say PYTHON=/path/to/python" >&2; \
			exit 1; \
		fi; \
		if ! $$chosen -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "$$chosen cannot make virtual environments: install its venv package (Debian: python3-venv)" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$($$chosen --version)"; \
		$$chosen -m venv --clear $(VENV); \
	fi; \
	echo "Installing ADAN and its tools into $(VENV), versions as in constraints.txt"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'; \
	touch $@

# For maintainers: train, choose, judge and seal the model that ships with ADAN.
ship-model: install
	@$(BIN)/python -m tests.tools.ship_model

# For maintainers: draw README's picture from the real screen.
picture: install
	@$(BIN)/python -m tests.tools.screen_picture docs/screen.svg
