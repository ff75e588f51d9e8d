# The commands: `make demo`, `make cluster-demo`, `make fast`, `make test`. Each sets up all that it needs. As root on
# Debian or Ubuntu `make cluster-demo` and `make test` also install programs of others with apt-get, unless
# SYSTEM_PACKAGES=no.

PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3.14 python3; do \
	command -v $$candidate >/dev/null 2>&1 \
	&& $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$candidate && break; done)
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Modules are compiled once: tests start programs by the hundred, and each would compile all of them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo cluster-demo test fast coverage conformance attacks fuzz flood mutation chaos chaos-strikes chaos-nemesis chaos-pending check bench format clean system servers foreign

demo: $(VENV)/.runtime
	$(BIN)/lienthong demo

# Two hubs on one PostgreSQL, a broker, two workers: one of each is killed under load (docs/operators.md).
cluster-demo: servers $(VENV)/.runtime
	$(BIN)/lienthong cluster-demo

test: system $(VENV)/.development foreign
	$(BIN)/python -m pytest -n auto --dist loadfile

# What tells most in a minute, with Python alone: no packages of the system, no software of others.
# Left out are whole programs, killed hubs, minutes of changed messages, pages: `make test` has them.
LONG := access_point attacks audit bench chaos cli conformance deploy docs hub interop mutation sandbox
# One more than there are cores: some tests wait.
WORKERS = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
FAST := $(filter-out $(LONG:%=tests/%/),$(sort $(dir $(wildcard tests/*/test_*.py tests/*/*/test_*.py)))) \
	tests/hub/test_exchange.py
fast: $(VENV)/.development
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --hypothesis-profile=fast \
		-m "not slow and not interop and not servers" $(FAST)

# Every branch of what decides and of what signs.
coverage: system $(VENV)/.development
	$(BIN)/python -m pytest -q -n auto --dist loadfile --cov=bus.core --cov=bus.audit.checks --cov=signing --cov-branch \
		--cov-fail-under=100 tests/core tests/audit/checks tests/signing tests/protocols tests/judging \
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

# Thousands of worlds in which all goes wrong (docs/reliability.md); of one, all that it says:
# `make chaos SEED=17`. Others: `make chaos FIRST=5000 SEEDS=10000`.
FIRST ?= 0
SEEDS ?= 5000
chaos: $(VENV)/.development
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED),--first $(FIRST) --seeds $(SEEDS))

# Hubs and workers that are killed at each write, sync and send, and whose disk fails there: an hour.
# `make chaos-strikes EVERY=10 TARGET=hub` takes every tenth of one kind; one alone, with all that is
# said: `make chaos-strikes TARGET=hub-apart STRIKE=sendto:signal=SIGKILL:when=17`.
EVERY ?= 1
chaos-strikes: system $(VENV)/.development
	$(BIN)/python -m tests.chaos $(if $(STRIKE),--strike $(STRIKE),--strikes $(EVERY)) \
		$(if $(TARGET),--target $(TARGET)) $(if $(TWICE),--twice)

# Three brokers, a database, two hubs, two workers and agencies, of which something fails all the
# time: `make chaos-nemesis MINUTES=10 SEED=3`.
MINUTES ?= 5
chaos-nemesis: system $(VENV)/.development
	$(BIN)/python -m tests.chaos --nemesis $(MINUTES) --seed $(or $(SEED),1)

# A hub that begins with a million deliveries that wait: two gigabytes, and some minutes.
ROWS ?= 1000000
chaos-pending: $(VENV)/.development
	$(BIN)/python -m tests.chaos --pending $(ROWS)

format: $(VENV)/.development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Servers and judges of others that the tests run; installed where we may, told of where not.
SYSTEM_PACKAGES ?= yes
system:
	@SYSTEM_PACKAGES=$(SYSTEM_PACKAGES) sh .ci/system-packages

# Of these, what a cluster is made of.
servers:
	@SYSTEM_PACKAGES=$(SYSTEM_PACKAGES) sh .ci/system-packages postgresql rabbitmq-server

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
