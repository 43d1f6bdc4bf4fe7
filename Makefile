# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
# Each makes .venv when it is missing and installs the pinned dependencies.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fuzz check format clean

demo: .venv/installed
	$(BIN)/sdovis simulate simulated
	$(BIN)/sdovis run examples/simulated.toml

test: .venv/installed
	$(BIN)/python -m pytest $(PYTEST)

# Hostile files and payloads for 30 minutes; `make test` sends them for one. Each run of a seed sends the same.
fuzz: .venv/installed
	SDOVIS_FUZZ_SECONDS=$${SDOVIS_FUZZ_SECONDS:-1800} $(BIN)/python -m pytest tests/fuzz $(PYTEST)

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv runs simulated simulated_full_disc mixed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("sdovis needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@
