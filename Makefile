# Everything a newcomer needs: `make run` and `make test`. Each sets up what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores: many tests wait for a process that they have started.
TEST_PROCESSES := $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.PHONY: run demo test test-full setup check bench faults build lock
.DEFAULT_GOAL := run

# The stamps name the lock file, so a change of the lock brings the environment up to date. The lists are whole, so pip
# resolves nothing (--no-deps): older ones would try a release newer than the pinned one for `coverage[toml]`.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Watchword needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.build: requirements-build.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-build.txt
	@touch $@

run: $(VENV)/.runtime ## set up and start the server on its embedded store
	@$(BIN)/python -m server

setup: $(VENV)/.dev ## everything that run, test, check and bench need

demo: $(VENV)/.runtime ## the same with example users, on a store that is gone afterwards
	@$(BIN)/python -m server serve --demo

test: setup ## all tests; COVERAGE=1 also measures which branches they reach, which takes half as long again
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(if $(COVERAGE),--cov --cov-report=term)

test-full: setup ## the same, with the whole volume of those tests of which `make test` runs a tenth
	FULL_TESTS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup

check: setup ## style, types, who may import whom, and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

# What Watchword is measured beside. Without them the rest is measured all the same.
PEERS := .venv-peers
NODE_PEERS := tests/bench/peers/node

$(PEERS)/.installed: requirements-peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-peers.txt
	@touch $@

$(NODE_PEERS)/node_modules/.installed: $(NODE_PEERS)/package-lock.json
	cd $(NODE_PEERS) && npm ci --no-audit --no-fund
	@touch $@

bench: setup $(PEERS)/.installed $(if $(shell command -v npm),$(NODE_PEERS)/node_modules/.installed) ## what requests cost beside aiohttp alone and other frameworks, and more (ONLY=peers ROUNDS=3 SVG=file.svg); GROWTH=1 adds what a million users cost, for which it needs 40 GB of disk
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SVG),--svg $(SVG))
	$(if $(GROWTH),$(BIN)/python -m tests.bench.growth --scale $(GROWTH))

faults: setup ## load, faults and attacks on whole servers, in full; `make test` runs the quick part of them
	FULL_TESTS=1 $(BIN)/python -m pytest tests/faults

build: $(VENV)/.build ## the wheels of the server and of watchword_client, in dist/, in place of those of earlier versions
	rm -f dist/watchword-*.whl dist/watchword_client-*.whl
	$(BIN)/python -m pip --quiet --disable-pip-version-check wheel --no-deps --no-build-isolation --wheel-dir dist . ./watchword_client

lock: setup ## write the pinned lists anew, from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra otel --group dev -c requirements.txt -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build -c requirements-dev.txt -o requirements-build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group peers -o requirements-peers.txt
