# The commands: `make demo`, `make fast`, `make test`. Each sets up all that it needs. As root on Debian or
# Ubuntu `make test` also installs programs of others with apt-get, unless SYSTEM_PACKAGES=no.

PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3.14 python3; do \
	command -v $$candidate >/dev/null 2>&1 \
	&& $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$candidate && break; done)
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test fast coverage conformance attacks fuzz flood mutation check bench format clean system foreign

demo: $(VENV)/.runtime
	$(BIN)/lienthong demo

test: system $(VENV)/.development foreign
	$(BIN)/python -m pytest -n auto --dist loadfile

# What tells most in a minute, with Python alone: no packages of the system, no software of others.
# Left out are whole programs, killed hubs, minutes of changed messages: `make test` has them.
LONG := access_point attacks audit bench cli conformance hub interop sandbox
FAST := $(filter-out $(LONG:%=tests/%/),$(sort $(dir $(wildcard tests/*/test_*.py tests/*/*/test_*.py)))) \
	tests/hub/test_exchange.py
fast: $(VENV)/.development
	$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow and not interop" $(FAST)

# Every branch of what decides and of what signs.
coverage: system $(VENV)/.development
	$(BIN)/python -m pytest -q -n auto --dist loadfile --cov=bus.core --cov=signing --cov-branch \
		--cov-fail-under=100 tests/core tests/signing tests/protocols tests/judging \
		tests/log/test_log_append.py tests/log/test_sealing.py tests/hub/test_exchange.py

# Every message of X-Road's own tests, and every way to get one wrong, to the hub and through an
# access point: a report, and 0 only if nothing came out otherwise than expected.
conformance: $(VENV)/.development
	$(BIN)/python -m tests.conformance

check: $(VENV)/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.runtime
	$(BIN)/lienthong bench exchange

# Every attack of the corpus, with a report; and minutes of mutations of valid messages.
attacks: $(VENV)/.development
	$(BIN)/python -m tests.attacks.report

fuzz: $(VENV)/.development
	$(BIN)/python -m tests.attacks.fuzz --seconds 300
	$(BIN)/python -m tests.attacks.fuzz_cost --seconds 120

# Two gigabytes of names that never end: what the processes hold must be what they held before.
flood: $(VENV)/.development
	$(BIN)/python -m tests.attacks.flood --megabytes 2000

# Every mutant of what proves signatures, in an hour or two: 0 only if tests object to each of
# them, or tests/mutation/argued.toml says why none can.
mutation: $(VENV)/.development
	nice $(BIN)/python -m tests.mutation

format: $(VENV)/.development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Servers and judges of others that the tests run; installed where we may, told of where not.
SYSTEM_PACKAGES ?= yes
system:
	@SYSTEM_PACKAGES=$(SYSTEM_PACKAGES) sh .ci/system-packages

# Environments of SOAP stacks of others, each apart from ours, kept in .cache.
foreign: system $(VENV)/.development
	@$(BIN)/python tests/interop/foreign_stacks.py

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: none was found." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || sh .ci/make-venv $(PYTHON) $(VENV)

$(VENV)/.runtime: $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo "Installing the hub's packages into $(VENV) ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "Installing the tools of development into $(VENV) ..."
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
