# Pregão. `make demo` and `make test` set everything up by themselves: only Python 3.11 to 3.13, git and make are needed.

UV_VERSION := 0.13.9
BIN := .venv/bin
STAMP := .venv/.set-up
PREPARED := .venv/.prepared
PLUGINS := $(wildcard plugins/*/pyproject.toml)
COMPILED := $(wildcard $(addprefix platform/pregao/,core/*.py features/*.py simulation/*.py market/sources/*.py))
ARGS ?=

# Without compiled modules every import is two to four times slower.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONUNBUFFERED := 1

FIND_PYTHON := for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	if "$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
	then echo "$$name"; break; fi; done

# uv does not read pip's configuration: hand it the package index that this machine uses, if it names one.
PIP_INDEX := index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi;

.PHONY: help demo test up lint docs lock bench set-up clean

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(PREPARED) ## Show the whole product working, offline (ARGS=--check: without a person)
	@$(BIN)/pregao demo $(ARGS)

test: $(PREPARED) ## Pass the tests, two files at a time (ARGS="-n 0" one; "-m 'not servers'" for a part)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

up: $(PREPARED) ## Start the Prefect server with the flows, MLflow and the panel
	@$(BIN)/pregao up $(ARGS)

lint: $(STAMP) ## Style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(STAMP) ## Build the site of the documents into site/, links checked; it opens without a server or a network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "Open site/index.html"

bench: $(PREPARED) ## Measure the speeds, each beside a floor in one run
	@$(BIN)/python benchmarks/run.py $(ARGS)

set-up: $(PREPARED) ## Only create the environment

lock: ## Resolve requirements.lock anew: all packages, with hashes, for Python 3.11 to 3.13
	@test -x $(BIN)/uv || $(MAKE) set-up
	@$(PIP_INDEX) $(BIN)/uv pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 --only-binary :all: \
		--generate-hashes --no-header --quiet $(ARGS) --output-file requirements.lock

clean: ## Remove the environment; data, models and sessions stay
	@rm -rf .venv

$(STAMP): requirements.lock pyproject.toml $(PLUGINS)
	@set -e; python=$$($(FIND_PYTHON)); \
	if [ ! -x $(BIN)/python ]; then \
		if [ -z "$$python" ]; then \
			echo "Pregão needs Python 3.11, 3.12 or 3.13 with venv; none was found." >&2; \
			echo "  Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3 ..." >&2; \
			exit 1; \
		fi; \
		echo "Creating the environment in .venv with $$("$$python" --version)"; \
		"$$python" -m venv .venv; \
	fi
	@command -v git >/dev/null 2>&1 || { echo "Pregão needs git: the market data is versioned with it. Install git." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@echo "Installing the packages of requirements.lock"
	@$(PIP_INDEX) $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --only-binary :all: --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . \
		$(foreach plugin,$(PLUGINS),--editable $(dir $(plugin)))
	@touch $@

$(PREPARED): $(STAMP) $(COMPILED)
	@$(BIN)/python -m pregao.operations.prepare
	@touch $@
