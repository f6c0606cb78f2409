# Everything that is done with this project, from a fresh clone with Python 3.11+ and make alone.
#
# A venv holds a stamp file for each set of packages put into it. A stamp is written last, so
# that whatever was interrupted is taken up again, and what is finished is not done twice.

PYTHON_NAMES := python3.13 python3.12 python3.11 python3 python
# Is this Python new enough, and can it build a venv with pip in it?
PYTHON_TEST := import sys; assert sys.version_info >= (3, 11); import ensurepip, venv
PYTHON ?= $(shell for name in $(PYTHON_NAMES); do \
    "$$name" -c '$(PYTHON_TEST)' 2>/dev/null && { echo "$$name"; break; }; done)

VENV := .venv
LANES := .venv-gym029 .venv-gym122
LANE_PACKAGES := hypothesis pillow psutil pygame pytest pytest-timeout
# How many processes run tests. Which tests stay together, tests/support/scheduling.py says; files
# begin in their order, in which those at the end are short.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP_INSTALL = $(@D)/bin/python -m pip install -qq

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-main test-venvs test-long test-old-gymnasium faults fuzz mutants check screenshots \
    bench clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo-installed ## play Catch with four policies and compare their catch rates
	$(VENV)/bin/python -m examples.catch_demo $(ARGS)

# With ARGS one asks for a part, which runs in one process, and the lanes are not in it.
test: test-main $(if $(ARGS),,test-old-gymnasium) ## run the tests, or a part: make test ARGS='-k wire'

test-main: $(VENV)/.dev-installed
	$(VENV)/bin/python -m pytest $(or $(ARGS),$(PARALLEL))

# Tests make these too, but the first one has to wait then.
test-venvs: $(VENV)/.dev-installed
	$(VENV)/bin/python -m tests.venvs

# At the same time, each in one process; a lane prints when it has ended.
test-old-gymnasium: $(LANES:=/.installed) ## run the single-env tests under Gymnasium 0.29.1 and 1.2.2
	@run() { \
	    $$1/bin/python -m pytest -q -m "single_env and not long" -p no:cacheprovider tests \
	        >$$1/tests.log 2>&1; \
	    code=$$?; echo "$$1: pytest -m single_env"; cat $$1/tests.log; return $$code; \
	}; \
	pids=; for lane in $(LANES); do run $$lane & pids="$$pids $$!"; done; \
	failed=0; for pid in $$pids; do wait $$pid || failed=1; done; exit $$failed

test-long: $(VENV)/.dev-installed ## run what make test leaves out, an hour and more: before a change is merged
	$(VENV)/bin/python -m pytest -m "long or hypothesis" --hypothesis-profile=long $(or $(ARGS),$(PARALLEL))

faults: $(VENV)/.dev-installed ## run the part of test-long that is about faults
	$(VENV)/bin/python -m pytest -m long tests/faults $(or $(ARGS),$(PARALLEL))

fuzz: $(VENV)/.dev-installed ## send nonsense to decoders and to a server for ten minutes, or FUZZ_SECONDS=
	$(VENV)/bin/python -m tests.fuzz $(FUZZ_SECONDS)

mutants: $(VENV)/.dev-installed ## plant faults in copies of the code, and see which of them the tests find
	$(VENV)/bin/python -m tests.mutants $(ARGS)

check: $(VENV)/.dev-installed ## lint, formatting and types
	$(VENV)/bin/python -m ruff check
	$(VENV)/bin/python -m ruff format --check
	$(VENV)/bin/python -m mypy

screenshots: $(VENV)/.dev-installed ## make the pictures of docs/web.md, with a Chromium
	$(VENV)/bin/python -m tests.screenshots

bench: $(VENV)/.dev-installed ## measure the speed beside its peers
	$(VENV)/bin/python -m benchmarks $(ARGS)

clean: ## remove the venvs and all caches
	rm -rf .venv .venv-* build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made once: a change of pyproject.toml installs into it again, an interruption starts it afresh.
%/.created:
	@test -n "$(PYTHON)" || { \
	    echo "openenv-gym needs Python 3.11 or later with its venv module, and none of" \
	        "$(PYTHON_NAMES) is one: install it, or name it with make PYTHON=/path/to/python." >&2; \
	    exit 1; }
	@$(PYTHON) -m venv --clear $(@D)
	@touch $@

$(VENV)/.demo-installed: pyproject.toml $(VENV)/.created
	@echo "Installing openenv-gym and what the demo needs into $(@D): about half a minute the first time."
	@$(PIP_INSTALL) --editable '.[fast]'
	@touch $@

$(VENV)/.dev-installed: pyproject.toml $(VENV)/.created
	@echo "Installing openenv-gym and its tools into $(@D): one to five minutes the first time, mostly for torch."
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

.venv-gym029/.installed: GYMNASIUM := 0.29.1
.venv-gym122/.installed: GYMNASIUM := 1.2.2
$(LANES:=/.installed): %/.installed: pyproject.toml %/.created
	@echo "Installing openenv-gym with Gymnasium $(GYMNASIUM) into $(@D): about half a minute the first time."
	@$(PIP_INSTALL) --editable . gymnasium==$(GYMNASIUM) $(LANE_PACKAGES)
	@touch $@
