# `make` alone lists the targets. The first one that needs it makes .venv (Python 3.13).
PYTHON ?= python3.13
PORT ?= 3001

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.requirements-dev
DEPLOY_VENV := .venv-deploy
DEPLOY_STAMP := $(DEPLOY_VENV)/.requirements-deploy
NODE_STAMP := node_modules/.package-lock
export SAM_CLI_TELEMETRY = 0
# sam build looks for python3.13 on the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

COMPILE := $(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links
# What ships has hashes, and the versions that it is tested with.
COMPILE_SHIPPED := CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) --generate-hashes --no-annotate \
	--constraint requirements-dev.txt

.DEFAULT_GOAL := help
.PHONY: help run test test-all deploy-test smoke soak bench screenshot lint types venv build format declarations lock audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## run the backend on this machine (PORT=3001, OPTIONS="--host 0.0.0.0")
	@exec $(BIN)/python -m local --port $(PORT) --page page --query '?userId=user123' --query '?userId=user456' $(OPTIONS)

# A worker that dies ends the run: pytest-xdist 3.8 waits for ever for the one that would replace it.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --max-worker-restart 0

test: $(STAMP) $(NODE_STAMP) ## run the tests but the slow ones (three minutes); or those of TESTS=tests/unit
	$(PYTEST) $(or $(TESTS),-m "not slow")
	$(if $(TESTS),,@echo "Slow tests were left out, and coverage: \`make test-all\` has both.")

test-all: $(STAMP) $(NODE_STAMP) ## run all tests, with coverage, as CI does (twelve minutes)
	$(PYTEST) --cov --cov-report=term
	@echo "Coverage of local/: $$($(BIN)/coverage report --include='local/*' --fail-under=0 --format=total) %"

deploy-test: $(STAMP) $(DEPLOY_STAMP) ## deploy to an emulator of AWS, use it, update it, delete it (two minutes)
	$(BIN)/python -m pytest --numprocesses 0 --timeout 300 tests/deploy

smoke: $(STAMP) ## check a deployment: URL=wss://…, and TOKENS="<token> <token>" if it has an issuer
	@$(BIN)/python -m tests.smoke.smoke $(URL) $(if $(TOKENS),--tokens $(TOKENS))

soak: $(STAMP) ## many clients, connections cut, thousands of messages: is anything lost?
	$(BIN)/python -m tests.soak.soak

bench: $(STAMP) ## measure time and money, and write them into docs/performance.md
	$(BIN)/python -m benchmarks

screenshot: $(STAMP) ## take the README's picture of the page (needs Chromium)
	$(BIN)/python -m tests.browser.screenshot

lint: $(STAMP) $(NODE_STAMP) ## ruff, ESLint, tsc, sam validate --lint, and the mistakes that AWS is silent about
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	node_modules/.bin/eslint .
	node_modules/.bin/tsc
	node_modules/.bin/tsc --project tests/library
	$(BIN)/sam validate --lint
	$(BIN)/python -m local --lint

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

venv: $(STAMP) ## set up .venv only

build: $(STAMP) ## sam build, as for a deployment
	$(BIN)/sam build

format: $(STAMP) $(NODE_STAMP) ## let ruff and ESLint rewrite what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	node_modules/.bin/eslint --fix .

declarations: $(NODE_STAMP) ## write page/protocol.d.ts, the types of protocol.js
	node_modules/.bin/tsc --project tsconfig.declarations.json

lock: $(STAMP) ## pin the newest versions in all requirements*.txt, and those of package.json
	$(COMPILE) --upgrade --no-header --extra dev --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) --upgrade --no-header --output-file requirements-deploy.txt requirements-deploy.in
	$(COMPILE_SHIPPED) --output-file shared/requirements.txt pyproject.toml
	echo 'pyjwt[crypto]' | $(COMPILE_SHIPPED) --output-file on_connect/requirements.txt -
	npm install --package-lock-only --silent
	node -e 'const fs = require("fs"), lock = JSON.parse(fs.readFileSync("package-lock.json")); for (const each of Object.values(lock.packages)) { delete each.funding; delete each.resolved; } fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n");'

audit: ## look for known vulnerabilities in what is pinned (needs pipx and the internet)
	pipx run pip-audit --strict --no-deps --disable-pip -r shared/requirements.txt \
		-r on_connect/requirements.txt -r requirements-dev.txt -r requirements-deploy.txt

clean: ## remove everything that these targets made
	rm -rf $(VENV) $(DEPLOY_VENV) node_modules .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*

$(STAMP): requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.13 is needed: install it, or say where it is: make PYTHON=/path/to/python3.13"; exit 1; }
	@echo "Setting up $(VENV) (about a minute, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Apart, because the emulator pins another botocore than the one that is deployed.
$(DEPLOY_STAMP): requirements-deploy.txt | $(STAMP)
	@echo "Setting up $(DEPLOY_VENV) (some seconds, once) ..."
	@$(PYTHON) -m venv $(DEPLOY_VENV)
	@$(DEPLOY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-deploy.txt
	@touch $@

$(NODE_STAMP): package.json package-lock.json .npmrc
	@command -v npm >/dev/null || { echo "Node is needed: install version 24 (or 22, from 22.13)"; exit 1; }
	@echo "Setting up node_modules (some seconds, once) ..."
	@npm ci --silent
	@touch $@
