# `make help` lists the targets. Everything is installed into .venv; nothing outside this folder is touched.

PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin
TESTS ?= test

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-ui screenshots bench bench-postgres check lock clean clean-data

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: .venv/run ## Load the days around today and serve the UI (PORT=3000)
	@exec $(BIN)/python -m fixtures_pipeline --port $(PORT)

test: .venv/dev ## Run the tests (about 15 minutes on two cores)
	$(BIN)/pytest -n 2 -m "not slow and not ui"

test-all: .venv/dev ## Run the slow tests as well (crashes, many processes, a simulated year)
	$(BIN)/pytest -n 2 -m "not ui"

test-ui: .venv/dev ## Run the tests in a browser (needs Debian's chromium)
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || \
		{ echo "It needs Chromium: apt-get install chromium, or CHROMIUM=/path/to/chrome make test-ui"; exit 1; }
	$(BIN)/pytest -m ui

screenshots: export SCREENSHOTS = 1
screenshots: test-ui ## Retake the screenshots in the docs

bench: .venv/dev ## Measure speed, memory and size against baselines (under ten minutes)
	@PYTHONWARNINGS=ignore $(BIN)/python -m benchmarks

bench-postgres: .venv/dev ## Measure Postgres against files (needs Debian's postgresql and pgbouncer)
	@PYTHONWARNINGS=ignore $(BIN)/python -m benchmarks postgres

check: .venv/dev ## Lint, format, types, imports, definitions and tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/dagster definitions validate --log-level error
	$(MAKE) $(TESTS)

lock: .venv/dev ## Re-resolve the dependencies
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-header pyproject.toml --group build -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-header -c requirements.lock pyproject.toml --group build --extra deploy -o requirements-deploy.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-header -c requirements-deploy.lock pyproject.toml --group build --extra deploy --group dev \
		-o requirements-dev.lock

clean: ## Remove the environment
	rm -rf .venv

clean-data: ## Remove everything that was loaded into data/; asks first
	@printf 'Delete data/ with everything that was loaded into it, and the record of it? [y/N] '; read -r answer; \
		[ "$$answer" = y ] && rm -rf data || echo "Nothing was deleted."

# The stamps: packages are installed again when a lock file changes.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/run: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-build-isolation --no-deps -e .
	@touch $@

.venv/dev: requirements-dev.lock .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
