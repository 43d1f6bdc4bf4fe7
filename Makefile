# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
# Each makes .venv when it is missing and installs the dependencies of locks/, whose hashes pip checks.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fuzz check docs format lock changelog clean

demo: .venv/installed
	$(BIN)/sdovis simulate simulated
	$(BIN)/sdovis run examples/simulated.toml

test: .venv/installed
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(PYTEST)

# Hostile files and payloads for 30 minutes; `make test` sends them for one. Each run of a seed sends the same.
fuzz: .venv/installed
	SDOVIS_FUZZ_SECONDS=$${SDOVIS_FUZZ_SECONDS:-1800} $(BIN)/python -m pytest tests/fuzz $(PYTEST)

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) docs

# Offline; a broken link, a setting without a description or a stale reference is an error.
docs: .venv/installed
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# After a change of pyproject.toml, space/requirements.txt or constraints.txt, which has the versions.
lock: .venv/installed
	$(BIN)/python locks/lock.py

# The fragments of changes/ go into CHANGELOG.md.
changelog:
	$(PYTHON) changes/collect.py

clean:
	rm -rf .venv docs/_build runs simulated simulated_full_disc mixed

# Torch comes first, so that where its CPU build is not found pip goes on to the index's build before it downloads the rest.
.venv/installed: pyproject.toml $(wildcard locks/*.txt)
	$(PYTHON) -c 'import sys; sys.exit("sdovis needs Python 3.11.5 or later" if sys.version_info < (3, 11, 5) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --require-hashes --requirement locks/cpu.txt --requirement locks/tests.txt || \
	$(BIN)/python -m pip install --require-hashes --requirement locks/cuda.txt --requirement locks/tests.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	touch $@
