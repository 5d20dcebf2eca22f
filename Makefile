# On a fresh machine with Python 3.11 or newer, `make run` serves and `make test` tests. Each installs what it needs.

PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# Containers often set this. Without compiled files each of the hundreds of processes that tests start compiles all of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help vonage azurite clients receivers axe livekit-sdk test-long laws browser screenshots mutants bench chaos run meet demo fuzz test check docs docs-serve constraints requirements clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

run: $(VENV)/installed ## Serve on SQLite with the fake provider; PORT=9000 chooses another port
	@exec $(BIN)/videoconf dev --port $(PORT)

vonage: $(VENV)/installed-for-work ## Serve with the Vonage provider on a stand-in, without an account
	@$(BIN)/python -m tools.vonage_standin --service http://127.0.0.1:$(PORT) -- \
		$(BIN)/videoconf dev --port $(PORT)

meet: $(VENV)/installed ## Hold a real meeting on this machine, with camera and microphone; needs janus
	@$(BIN)/python -m tools.meet --port $(PORT)

# The stand-in for Vonage is one of the tests' tools.
demo: $(VENV)/installed$(if $(filter vonage janus,$(PROVIDER)),-for-work) ## Walk one meeting through its life, each request and answer printed; PROVIDER=vonage or janus
	@$(BIN)/python $(if $(filter janus,$(PROVIDER)),-m examples.demo_pages,examples/demo.py)

# One process runs all tests of a file, because they share servers. Files run in their order, so the quick files of
# tests/unit come last and the processes end at about the same time. They wait a good part of theirs, so two cores take three.
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed-for-work ## Run every test on SQLite and PostgreSQL; TESTS=tests/unit for some
	$(PYTEST) $(TESTS)

test-long: $(VENV)/installed-for-work ## Run the tests that take long: many processes, large tables, whole installations
	$(PYTEST) -m long $(TESTS)

laws: $(VENV)/installed-for-work ## Check the laws of attendance and of the log of events on thousands of generated histories
	$(PYTEST) -m laws $(TESTS)

browser: $(VENV)/installed-for-work ## Run the tests in headless Chromium: the pages, browser clients, and real media with Janus; after `make axe` also accessibility
	tests/plugins/janus/own_network.sh $(BIN)/pytest -m browser $(or $(TESTS),tests/plugins tests/browser tests/contract tests/integration/pages)

screenshots: $(VENV)/installed-for-work ## Show every state of the pages, small and large, light and dark, in build/screenshots; needs Chromium
	$(BIN)/python -m tests.browser.screenshots $(SCENES)
	$(if $(SCENES),,$(BIN)/python -m tests.browser.console_screenshots)

mutants: $(VENV)/installed-for-work ## Break the code that protects data and load, one line at a time: a test must fail each time
	$(BIN)/python -m tests.mutants

bench: $(VENV)/installed-for-work ## Measure on PostgreSQL: growing tables, then each hot path next to bare limits; needs wrk, but for BENCH="--only lists"
	$(if $(findstring lists,$(BENCH)),,$(BIN)/python -m bench.attendance)
	$(BIN)/python -m bench.run $(BENCH)

chaos: $(VENV)/installed-for-work ## Break two nodes, the database and the provider for a minute; CHAOS="--seconds 300 --seed 7 --pooler"
	$(BIN)/python -m bench.chaos $(CHAOS)

azurite: build/azurite/installed ## Install the Azure server that some tests use; needs npm
build/azurite/installed:
	npm install --no-audit --no-fund --prefix build/azurite azurite@3.35.0
	@touch $@

clients: build/clients/installed ## Install the TypeScript generator that some tests use; needs npm
build/clients/installed:
	npm install --no-audit --no-fund --prefix build/clients openapi-typescript@7.13.0 openapi-fetch@0.17.0 \
		typescript@5.9.3 @types/node@22.20.7
	@touch $@

axe: build/axe/installed ## Install the checker of accessibility that tests of pages use; needs npm
build/axe/installed:
	npm install --no-audit --no-fund --prefix build/axe axe-core@4.14.1
	@touch $@

receivers: build/receivers/installed ## Install Express and the Standard Webhooks library that a test's receiver uses; needs npm
build/receivers/installed:
	npm install --no-audit --no-fund --prefix build/receivers express@5.1.0 standardwebhooks@1.1.1
	@touch $@

livekit-sdk: build/livekit/installed ## Install LiveKit's SDKs for Node and for browsers, which tests use; needs npm
build/livekit/installed:
	npm install --no-audit --no-fund --prefix build/livekit livekit-server-sdk@2.19.2 livekit-client@2.23.0
	@touch $@

fuzz: $(VENV)/installed-for-work ## Look for answers that contradict the OpenAPI document; takes some minutes
	$(BIN)/python -m tests.fuzz

check: $(VENV)/installed-for-work ## Lint, format, types, import rules, prose, generated pages, the site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/check_prose.py
	$(BIN)/python docs/generate.py --check
	$(BIN)/mkdocs build --quiet

docs: $(VENV)/installed-for-work ## Write the generated pages of the documentation from the code
	$(BIN)/python docs/generate.py

docs-serve: docs ## Serve the documentation site at http://127.0.0.1:8080
	$(BIN)/mkdocs serve --dev-addr 127.0.0.1:8080

constraints: ## Pin the newest releases that setup.cfg allows
	$(PYTHON) -m venv --clear build/newest
	build/newest/bin/pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	build/newest/bin/pip freeze --exclude-editable > constraints.txt
	rm -r build/newest

requirements: $(VENV)/installed-for-work ## Write what images install, with hashes; after `make constraints`
	$(BIN)/python -m tools.lock

clean: ## Remove everything that make created, also the development database
	rm -rf $(VENV) build dist instance .*_cache .hypothesis .coverage* *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -r {} +

# make installs again only when one of these files has changed.
$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("videoconf needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name another:\
	 make PYTHON=python3.13" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo 'Installing videoconf into $(VENV), which takes a minute or two.'
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>&- || $(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) '.[demo]'
	@touch $@

$(VENV)/installed-for-work: $(VENV)/installed
	$(INSTALL) '.[test,check]'
	@touch $@
