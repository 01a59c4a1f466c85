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

# Style and script follow what they are made of; `supover up` in a checkout makes them anew by itself.
STYLE   := src/supover/static/app.css
SCREENS := $(shell find src/supover/web -name '*.css' -o -name '*.js' -o -name '*.html' -o -name '*.py')

.PHONY: serve test browser coverage lint style format bench soak docs text lock clean force
.DELETE_ON_ERROR:

serve: $(VENV)/.app $(if $(SUPOVER_SKIP_ASSETS),,$(STYLE))
	@exec $(BIN)/supover up

# Types take two minutes of one core, and the tests wait for a database often enough: they go side by side.
test: style browser
	@nice $(BIN)/basedpyright --warnings > $(VENV)/types.txt 2>&1 & types=$$!; \
	$(BIN)/python -m pytest; tests=$$?; \
	wait $$types; types=$$?; cat $(VENV)/types.txt; exit $$((tests || types))

# What looks at the screens: Debian's Chromium, installed where that may be done; else those tests are skipped and say so.
BROWSERS := chromium chromium-browser google-chrome
browser:
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium, which looks at the screens"; \
	    { timeout 60 apt-get update -q && DEBIAN_FRONTEND=noninteractive timeout 180 apt-get install -y -q --no-install-recommends chromium; } >/dev/null 2>&1 \
	        || echo "Chromium could not be installed: the screens are not looked at in a browser."; \
	else echo "There is no Chromium: the screens are not looked at in a browser."; fi

# Beside `make test`: the tests take a third longer while every line is noted.
coverage: $(VENV)/.dev
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: style
	$(BIN)/basedpyright --warnings

style: $(VENV)/.dev
	$(BIN)/ruff check --quiet
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev
	$(BIN)/python -m bench

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -n 0 -m soak --timeout 900

# Writes the generated pages, schema.sql and the OpenAPI snapshot (`make test` fails while they are stale), and takes the
# guide's pictures of every page, light, dark and on a phone, where there is a Chromium; `make text` writes without them.
docs: text
	$(BIN)/python -m tests.web.pictures

text: $(VENV)/.dev
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
	@$(BIN)/python -c 'import json, pathlib; p = pathlib.Path("package-lock.json"); d = json.loads(p.read_text()); \
	    [one.pop("funding", None) for one in d["packages"].values()]; p.write_text(json.dumps(d, indent=2) + "\n")'

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

$(STYLE): $(VENV)/.app $(SCREENS)
	@$(BIN)/python hatch_build.py
	@touch $@

$(VENV)/.dev: $(VENV)/.app $(if $(SUPOVER_SKIP_ASSETS),,$(STYLE)) requirements/dev.txt
	@echo "Installing what its tests need"
	$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
