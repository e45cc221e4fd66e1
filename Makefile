# The two commands that matter: `make run` (everything on a private PostGIS, with sample data) and
# `make test`. Both install what is missing; nothing else has to be done by hand.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
HOME_FOLDER := $(abspath $(or $(BAILIWICK_HOME),.bailiwick))
STAMPS := $(VENV)/stamps
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# npm and node come from PyPI with the other locked tools, so that their version is ours.
export PATH := $(abspath $(BIN)):$(PATH)
# Where it is set, each process compiles all its modules anew: it takes 5 s to start instead of 2.
unexport PYTHONDONTWRITEBYTECODE

APT := DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)

# Side by side, each process with a PostGIS of its own; child processes are measured too.
SIDE_BY_SIDE := -m pytest -n $(or $(JOBS),2)
MEASURED := $(BIN)/coverage run $(SIDE_BY_SIDE)
BY_FILE := --dist loadfile --no-loadscope-reorder
# What asks the product from outside, as processes that are started again and again and held to
# seconds: they would start half as fast measured, and what they show is not which lines ran.
FROM_OUTSIDE := tests/e2e tests/faults tests/garden tests/inputs

.PHONY: help setup run test test-faults test-two gis coverage coverage-gates check bench peers lint format types lock openapi clean browser

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMPS)/postgis $(STAMPS)/python web/dist/index.html $(STAMPS)/kernels ## Install everything

run: setup ## Start database, API, worker and map with sample data
	@exec $(BIN)/bailiwick demo

test: setup browser check coverage ## Run every check and every test, with the gates of coverage

coverage: setup browser ## Run every test, with the gates of coverage
	@$(BIN)/coverage erase
	@echo "The laws of the solver, its kernels as Python …"
	@NUMBA_DISABLE_JIT=1 $(MEASURED) --dist worksteal -qq -r fE tests/balancing
	@# Both, whatever the first finds.
	failed=0; \
	$(MEASURED) $(BY_FILE) $(addprefix --ignore ,$(FROM_OUTSIDE)) || failed=1; \
	$(BIN)/python $(SIDE_BY_SIDE) $(BY_FILE) $(FROM_OUTSIDE) || failed=1; \
	exit $$failed
	@$(MAKE) --no-print-directory coverage-gates

coverage-gates: ## Combine what was measured; refuse too little
	@$(BIN)/coverage combine --quiet --keep
	@$(BIN)/coverage json --quiet -o - | $(BIN)/python -m tests.coverage_gates

test-faults: setup ## Kill API, worker and PostgreSQL at fifty moments each (an hour)
	$(BIN)/pytest tests/faults tests/inputs -m faults_long -s -o faulthandler_timeout=0
	GARDEN_EXAMPLES=100 GARDEN_SECONDS=120 $(BIN)/pytest tests/garden --timeout 3600 -o faulthandler_timeout=0

# What has processes of its own, or no client, would only be run a second time.
test-two: setup browser ## Run the tests with two API and two worker processes that share the database only
	TEST_PROCESSES=2 $(BIN)/pytest -n $(or $(JOBS),2) --dist loadfile -m "not faults_long and not gis and not one_process" \
	  --ignore tests/faults --ignore tests/e2e --ignore tests/balancing --ignore tests/geo

gis: setup browser $(STAMPS)/gis ## Open the product in GDAL, QGIS and deck.gl, which this installs
	$(BIN)/pytest tests/gis -m gis

check: lint types ## Lint, types, layers and the front end's own tests
	cd web && npm test --silent

lint: $(STAMPS)/python ## Style, layers of code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMPS)/python ## Types
	$(BIN)/mypy

format: $(STAMPS)/python ## Rewrite the code in the one style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure the solver on the instances of BAILIWICK_SHARED_DATA
	$(BIN)/python -m bench.solver_table

peers: setup ## Install the methods that `python -m bench.solver --peers` compares with
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/peers.lock

openapi: $(STAMPS)/python ## Renew docs/openapi.json
	$(BIN)/bailiwick openapi > docs/openapi.json

lock: $(STAMPS)/python ## Renew the locked versions of pyproject.toml
	for group in runtime dev bootstrap peers; do requirements/compile $$group; done

clean: ## Remove everything that make made, data of the private cluster included
	-$(BIN)/bailiwick db down
	rm -rf $(VENV) .bailiwick web/node_modules web/dist tests/gis/deck/node_modules

# --- what the targets above stand on -------------------------------------------------------------

# Debian starts a cluster of its own with the server package unless told not to.
$(STAMPS)/postgis:
	@if ! ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1; then \
	  echo "Installing PostGIS …"; \
	  $(SUDO) mkdir -p /etc/postgresql-common; \
	  [ -e /etc/postgresql-common/createcluster.conf ] || \
	    echo "create_main_cluster = false" | $(SUDO) tee /etc/postgresql-common/createcluster.conf >/dev/null; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) $(APT) postgresql-postgis postgresql-common util-linux >/dev/null; \
	fi
	@python3 -c 'import ensurepip, venv' 2>/dev/null || $(SUDO) $(APT) python3-venv >/dev/null
	@mkdir -p $(STAMPS) && [ -d $(VENV)/bin ] || python3 -m venv $(VENV)
	@touch $@

$(STAMPS)/python: requirements/bootstrap.lock requirements/dev.lock pyproject.toml | $(STAMPS)/postgis
	@echo "Installing Python packages …"
	@[ -x $(BIN)/python ] || python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/bootstrap.lock requirements/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@mkdir -p $(STAMPS) && touch $@

web/dist/index.html: $(WEB_SOURCES) | $(STAMPS)/python
	@echo "Building the map page …"
	@cd web && npm ci --silent --no-audit --no-fund && npm run --silent build
	@touch $@

$(STAMPS)/kernels: $(wildcard balancing/*.py) | $(STAMPS)/python
	@echo "Compiling the solver …"
	@# Numba looks at a kernel's own file only, not at those of the kernels it calls: start afresh.
	@rm -rf $(HOME_FOLDER)/numba-cache && mkdir -p $(HOME_FOLDER)/numba-cache
	@NUMBA_CACHE_DIR=$(HOME_FOLDER)/numba-cache $(BIN)/python -m app.plans.warm
	@touch $@

# A gigabyte, so it is no part of `make setup`. QGIS is built for the system's own Python.
$(STAMPS)/gis: tests/gis/deck/package-lock.json | $(STAMPS)/python
	@{ command -v ogr2ogr && /usr/bin/python3 -c 'import qgis.core'; } >/dev/null 2>&1 || { \
	  echo "Installing QGIS and GDAL …"; \
	  $(SUDO) apt-get update -qq; $(SUDO) $(APT) gdal-bin python3-qgis qgis-providers >/dev/null; }
	@echo "Installing deck.gl …"
	@cd tests/gis/deck && npm ci --silent --no-audit --no-fund
	@touch $@

browser:
	@command -v chromium >/dev/null || { echo "Installing Chromium …"; \
	  $(SUDO) apt-get update -qq; $(SUDO) $(APT) chromium >/dev/null; }
