# Every target works from a fresh clone by itself. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The environments of the other Pythons are kept.
.PRECIOUS: .venvs/%/.installed

# The oldest supported Python that this machine has, unless PYTHON says otherwise.
PYTHON ?= $(shell tools/pythons.sh | awk 'NR == 1 { print $$2 }')
VENV := .venv
BIN := $(VENV)/bin
# Two builds in one tree would write the same files; the Makefile itself serves as the lock.
LOCK := $(if $(shell command -v flock),flock Makefile)
# Arguments passed on: make test PYTEST="-k frames", make chat CHAT="--port 9000".
PYTEST ?=
CHAT ?=
BENCH ?=

.PHONY: help
help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------------- environments

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found: install one, or set PYTHON." >&2; exit 1; }
	$(LOCK) tools/make_venv.sh $(PYTHON) $(VENV) dev
	touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(LOCK) tools/make_venv.sh $(PYTHON) $(VENV) bench
	touch $@

.venvs/%/.installed: pyproject.toml
	mkdir -p .venvs
	$(LOCK) tools/make_venv.sh "$$(tools/pythons.sh | awk '$$1 == "$*" { print $$2 }')" .venvs/$* build test
	touch $@

.PHONY: install
install: $(VENV)/.installed  ## .venv with the package (compiled where a C compiler is) and the development tools

.PHONY: build
build: $(VENV)/.installed  ## Compile what has changed, in place
	DUPLEXIO_REQUIRE_EXTENSIONS=1 $(LOCK) $(BIN)/python setup.py --quiet build_ext --inplace

# The same where there may be no compiler.
.PHONY: refresh
refresh: $(VENV)/.installed
	@$(LOCK) $(BIN)/python setup.py --quiet build_ext --inplace

.PHONY: build-%
build-%: .venvs/%/.installed
	DUPLEXIO_REQUIRE_EXTENSIONS=1 $(LOCK) .venvs/$*/bin/python setup.py --quiet build_ext --inplace

.PHONY: clean
clean:  ## Remove everything built, the environments too
	rm -rf build dist docs/_build htmlcov .venv .venvs tests/interop/node_modules
	find src -name '*.so' -delete

# ------------------------------------------------------------------------------------------- run

.PHONY: chat
chat: refresh  ## The chat room, in the browser
	$(BIN)/duplexio chat --open $(CHAT)

# ----------------------------------------------------------------------------------------- tests

# The fast tests of the code itself; the rest drives browsers, other servers and whole suites, for
# which one Python and one build are enough.
UNIT := $(addprefix --ignore=tests/,bench conformance deployment docs interop)
OTHERS = $(filter-out $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'),$(shell tools/pythons.sh | cut -d' ' -f1))

.PHONY: system-packages
system-packages:
	tools/system_packages.sh

.PHONY: interop-packages
interop-packages:
	tools/interop_packages.sh

.PHONY: test
test: system-packages build interop-packages  ## Everything but the slow tests, on every Python present, compiled and pure
	@echo "== tests, compiled"
	DUPLEXIO_IMPL=c $(BIN)/python -m pytest $(PYTEST)
	$(MAKE) --no-print-directory test-pure test-pythons

.PHONY: test-pure
test-pure: build
	@echo "== unit tests, pure Python"
	DUPLEXIO_IMPL=python $(BIN)/python -m pytest $(UNIT) $(PYTEST)

.PHONY: test-pythons
test-pythons: $(VENV)/.installed
	@tools/missing_pythons.sh
	$(foreach version,$(OTHERS),$(MAKE) --no-print-directory test-python-$(version);)

.PHONY: test-python-%
test-python-%: build-%
	@echo "== unit tests, compiled, Python $*"
	DUPLEXIO_IMPL=c .venvs/$*/bin/python -m pytest $(UNIT) $(PYTEST)

.PHONY: test-all
test-all: system-packages build interop-packages  ## The slow tests too: whole conformance suites, soak
	DUPLEXIO_IMPL=c $(BIN)/python -m pytest -m "" $(PYTEST)
	$(MAKE) --no-print-directory asan test-pure test-pythons

.PHONY: asan
asan: install  ## The kernels' and the fuzz tests on a build under AddressSanitizer and UBSan
	@echo "== tests under sanitizers"
	tests/fuzz/asan.sh

.PHONY: coverage
coverage: build  ## Lines and branches that the unit tests reach (pure Python: C code is not seen)
	$(BIN)/coverage erase
	DUPLEXIO_IMPL=python $(BIN)/coverage run -m pytest $(UNIT) $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage html --quiet

.PHONY: bench
bench: build $(VENV)/.bench  ## Side by side with the peers and a C server; writes a report
	$(BIN)/python -m bench $(BENCH)

# ---------------------------------------------------------------------------------- lint and docs

.PHONY: lint
lint: install  ## ruff, mypy, the import contracts, the changelog's fragments
	tools/lint.sh $(BIN)

.PHONY: format
format: install  ## Let ruff fix and format what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: docs
docs: refresh  ## The documentation, in docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going -b html docs docs/_build/html
