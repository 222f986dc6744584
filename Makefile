# Everything a checkout can do. Needs Python 3.11 or later and, the first time, a package registry.
#
# The project lives in .venv, installed in place; a stamp there says what has been installed, and pyproject.toml is
# what makes a stamp old. An interpreter that was built for speed is preferred (docs/operating/running.md).

PYTHON := $(or $(PYTHON),$(shell for wanted in --enable-optimizations ''; do \
	for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys, sysconfig; built = sysconfig.get_config_var("CONFIG_ARGS") or ""; \
	sys.exit(sys.version_info < (3, 11) or not (sys.argv[1] in built or sys.base_prefix == "/usr"))' "$$wanted" 2>/dev/null \
	&& echo $$python && break 2; done; done))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := requirements-dev.lock
# One more than there are cores: many tests wait for servers, leases and clocks.
PROCESSES := $(or $(PROCESSES),$(shell expr 1 + `getconf _NPROCESSORS_ONLN`))
SAY := @printf '\n==> %s\n'

.PHONY: help serve console test test-clients check format reference bench growth fuzz torture coverage lock dist clean

help:
	@echo 'make serve    start Jedlik on http://127.0.0.1:8000, its data in ./data (ARGS="--port 9000" for options)'
	@echo 'make console  build the console that /console/ shows; needs a package registry, and gets Node.js if there is none'
	@echo 'make test     check style and types, then run every test (ARGS="tests/dynamodb/model" for some)'
	@echo 'make test-clients  run SDKs of other languages against it; needs Node.js, Java, Go and Chromium (ARGS="-k java" for one)'
	@echo 'make check    check style and types only'
	@echo 'make format   put the code in its style'
	@echo 'make reference  run tests/dynamodb and write docs/reference/coverage.md: the parts of DynamoDB that are covered'
	@echo 'make bench    compare speed with other servers; needs wrk (ARGS="--help" for options)'
	@echo 'make growth   measure how it holds up as tables grow, to 10 million items; needs wrk and 10 GB of disk'
	@echo 'make fuzz     look for inputs that break Jedlik, a minute for each kind (ARGS="--seconds 600 partiql")'
	@echo 'make torture  kill servers, cut the power, damage files, break disks, set clocks, part regions; some minutes (ARGS="kills --seconds 600")'
	@echo 'make coverage  run the tests and list the lines that they do not reach (ARGS="tests/dynamodb" for some tests)'
	@echo 'make lock     choose the versions for development again: $(LOCK)'
	@echo 'make dist     build the wheel and the sdist in ./dist'
	@echo 'make clean    remove what the above made; ./data stays'

serve: $(VENV)/installed
	@$(BIN)/python console/build.py --background
	$(BIN)/jedlik serve $(ARGS)

console: $(VENV)/installed
	$(BIN)/python console/build.py

test: check
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal $(ARGS)

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

coverage: $(VENV)/installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(PROCESSES) --dist worksteal $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report
	@echo 'line by line: .cache/coverage/html/index.html'

# No index is written into it: whoever installs has one of their own.
lock: $(VENV)/installed-dev
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --extra dev \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --output-file $(LOCK) pyproject.toml

dist: $(VENV)/installed-dev
	$(BIN)/python console/build.py
	rm -rf dist
	$(BIN)/hatchling build

clean:
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache bench/node_modules console/node_modules \
		src/jedlik/console/built src/jedlik/console/build-state.json dist
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/installed: pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Jedlik needs Python 3.11 or later; choose one with PYTHON=...' >&2; exit 1; }
	$(SAY) '1 of 2: making $(VENV), with $(PYTHON)'
	$(PYTHON) -m venv $(VENV)
	$(SAY) '2 of 2: installing Jedlik and what it needs there; the first time that takes about half a minute'
	$(PIP) install --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed $(LOCK)
	$(SAY) 'installing what development needs, in the versions of $(LOCK); the first time that takes some minutes'
	$(PIP) install --constraint $(LOCK) --editable '.[dev]'
	@touch $@

$(VENV)/installed-fuzz: $(VENV)/installed-dev
	$(SAY) 'installing what fuzzing needs'
	$(PIP) install --constraint $(LOCK) --editable '.[fuzz]'
	@touch $@
