# Everything a checkout can do. Needs Python 3.11 or later and, the first time, a package registry.
#
# The project lives in .venv, installed in place; a stamp there says what has been installed, and pyproject.toml is
# what makes a stamp old.

PYTHON := $(or $(PYTHON),$(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help serve test test-clients check format bench growth fuzz torture clean

help:
	@echo 'make serve    start Jedlik on http://127.0.0.1:8000, its data in ./data (ARGS="--port 9000" for options)'
	@echo 'make test     check style and types, then run every test (ARGS="tests/dynamodb/model" for some)'
	@echo 'make test-clients  run SDKs of other languages against it; needs Node.js, Java and Go (ARGS="-k java" for one)'
	@echo 'make check    check style and types only'
	@echo 'make format   put the code in its style'
	@echo 'make reference  write docs/reference/coverage.md anew: what is covered of DynamoDB, by the tests of tests/dynamodb'
	@echo 'make bench    compare speed with other servers; needs wrk (ARGS="--help" for options)'
	@echo 'make growth   measure how it holds up as tables grow, to 10 million items; needs wrk and 10 GB of disk'
	@echo 'make fuzz     look for inputs that break Jedlik, a minute for each kind (ARGS="--seconds 600 partiql")'
	@echo 'make torture  kill servers, cut the power, damage files, break disks, set clocks, part regions; some minutes (ARGS="kills --seconds 600")'
	@echo 'make clean    remove what the above made; ./data stays'

serve: $(VENV)/installed
	$(BIN)/jedlik serve $(ARGS)

test: check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

test-clients: $(VENV)/installed-dev
	$(BIN)/python -m pytest --timeout=900 tests/clients $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/installed-dev
	$(BIN)/python -m pytest tests/dynamodb --record-calls $(ARGS)
	$(BIN)/python -m reference

bench: $(VENV)/installed-dev
	$(BIN)/python -m bench $(ARGS)

growth: $(VENV)/installed-dev
	$(BIN)/python -m bench.growth $(ARGS)

fuzz: $(VENV)/installed-fuzz
	$(BIN)/python -m fuzz $(ARGS)

torture: $(VENV)/installed-dev
	$(BIN)/python -m torture $(ARGS)

clean:
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache bench/node_modules dist
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Jedlik needs Python 3.11 or later; say which with PYTHON=...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/installed-fuzz: $(VENV)/installed-dev
	$(PIP) install --editable '.[fuzz]'
	@touch $@
