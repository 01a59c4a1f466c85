# `make serve` starts everything, `make test` checks everything. Both need make and Python 3.11 or newer, nothing else.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(name))))
VENV   := .venv
BIN    := $(VENV)/bin
# uv reads neither pip's configuration nor the system's certificates by itself: a mirror of PyPI known only to pip, and
# a certificate authority known only to the system, are passed on.
INSTALL = @index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}; \
    env $${index:+UV_DEFAULT_INDEX="$$index"} $(BIN)/uv pip install --quiet --python $(BIN)/python $(SYSTEM_CERTS)
SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),--system-certs)
SWAGGER := src/supover/static/swagger/swagger-ui.css

# Without its compiled files Python takes seconds more at every start.
unexport PYTHONDONTWRITEBYTECODE

# A virtual environment that was moved here, or whose Python is gone, is made anew.
ifneq ($(wildcard $(VENV)/.home),)
ifneq ($(shell cat $(VENV)/.home && $(BIN)/python -c '' 2>&1),$(CURDIR))
$(shell rm -rf $(VENV))
endif
endif

.PHONY: serve test coverage lint format bench soak docs lock clean force
.DELETE_ON_ERROR:

serve: $(VENV)/.app
	@exec $(BIN)/supover up

test: lint
	$(BIN)/python -m pytest

# Beside `make test`: the tests take a third longer while every line is noted.
coverage: $(VENV)/.dev
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(VENV)/.dev
	$(BIN)/ruff check --quiet
	$(BIN)/basedpyright --warnings
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev
	$(BIN)/python -m bench

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -n 0 -m soak --timeout 900

# Writes the generated pages, schema.sql and the OpenAPI snapshot; `make test` fails while they are stale.
docs: $(VENV)/.dev
	$(BIN)/python -m tests.house.regenerate

# Keeps the pins that still fit; `make lock UPGRADE=--upgrade` takes the newest.
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
       --no-emit-index-url --no-header --no-annotate $(UPGRADE)
GROUP = $(subst compile pyproject.toml,compile,$(LOCK)) --group
lock: $(VENV)/.run
	$(LOCK) -o requirements/run.txt
	for group in uv build node; do $(GROUP) $$group -o requirements/$$group.txt || exit; done
	$(GROUP) dev -c requirements/run.txt -c requirements/node.txt -o requirements/dev.txt
	npm install --package-lock-only

clean:
	rm -rf $(VENV) node_modules src/supover/static dist htmlcov .coverage .coverage.*
	rm -rf .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.uv: requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "Supover needs Python 3.11 or newer, and found none on PATH."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Supover needs Python 3.11 or newer: say where it is, as in PYTHON=/usr/bin/python3.12 make."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)."; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "$(CURDIR)" > $(VENV)/.home
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: -r $<
	@touch $@

# Node 20 with npm on PATH builds the assets; elsewhere the build brings its own.
NODE := $(shell node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null && command -v npm)
$(VENV)/.run: $(VENV)/.uv requirements/run.txt requirements/build.txt requirements/node.txt
	@echo "Installing what supover needs"
	$(INSTALL) --require-hashes -r requirements/run.txt -r requirements/build.txt $(if $(NODE),,-r requirements/node.txt)
	@touch $@

ASSETS := hatch_build.py package.json package-lock.json .npmrc
MISSING := $(if $(SUPOVER_SKIP_ASSETS),,$(if $(wildcard $(SWAGGER)),,force))
$(VENV)/.app: $(VENV)/.run pyproject.toml $(ASSETS) $(MISSING)
	@echo "Installing supover and its assets"
	$(INSTALL) --no-deps --no-build-isolation --reinstall-package supover -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.app requirements/dev.txt
	@echo "Installing what its tests need"
	$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
