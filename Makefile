# Everything runs from .venv, which is made from the hash-locked requirements on first use.
# PYTHON=python3.12 chooses the interpreter; ARGS="-k stream" goes to the tool that is run.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-all fuzz faults coverage lint types docs compat compat-clients compat-lock bench bench-peers dead-default disconnects soak rolling-restart overload storm agreement lock vendor-js page-tools screenshots clean venv venv-dev

# A caller's own Python settings must neither shadow nor change what the locks name.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
unexport UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_DEFAULT_INDEX UV_FIND_LINKS UV_EXCLUDE_NEWER
unexport UV_CONSTRAINT UV_OVERRIDE UV_PRERELEASE UV_RESOLUTION

PYTHON ?=
ARGS ?=
CLIENTS ?=
DOOR ?=
BY_DOOR = $(if $(DOOR),--door $(DOOR))
VENV_PYTHON := .venv/bin/python
IN_PARALLEL := -n 3 --dist worksteal# on two cores: a third of the time tests wait for timeouts and for processes
AXE_VERSION := 4.14.1
COMMONMARK_VERSION := 0.31.2
COMPILE_LOCK := $(VENV_PYTHON) -m uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--exclude-newer "7 days" --upgrade --custom-compile-command "make lock"

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

run: venv ## Start the gateway
	@exec $(VENV_PYTHON) main.py $(ARGS)

test: venv-dev ## Run the tests, each promise by a few of its cases
	@$(VENV_PYTHON) -m pytest $(IN_PARALLEL) -m "not exhaustive" $(ARGS)

test-all: venv-dev ## Run the tests with all their cases
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-40} $(VENV_PYTHON) -m pytest $(IN_PARALLEL) $(ARGS)

fuzz: venv-dev ## Run the fuzzing tests for long; FUZZ_EXAMPLES=5000 for longer
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-1000} $(VENV_PYTHON) -m pytest $(IN_PARALLEL) $$(find tests -name 'test_fuzz_*.py') $(ARGS)

faults: venv-dev ## Run every fault of a vendor through the gateway, and write docs/fault_matrix.md and its data
	@$(VENV_PYTHON) -m tests.fault_matrix $(ARGS)

compat: compat-clients ## Run every client against the gateway, and write docs/compatibility.md and its data
	@$(VENV_PYTHON) -m tests.compat $(ARGS)

compat-clients: venv-dev ## Install the clients of make compat in .compat/; CLIENTS="ai-7 codex" only these
	@$(VENV_PYTHON) -m tests.compat.environments $(CLIENTS)

compat-lock: venv-dev ## Renew the clients' locks with the newest releases that are at least 7 days old
	@$(VENV_PYTHON) -m tests.compat.environments --lock $(CLIENTS)

coverage: venv-dev ## Run the tests with coverage: a table here, pages in htmlcov/
	@$(VENV_PYTHON) -m pytest $(IN_PARALLEL) --cov --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)

lint: venv-dev ## Check style and formatting
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .

types: venv-dev ## Check types
	@$(VENV_PYTHON) -m mypy

docs: venv-dev ## Write docs/configuration.md from the settings and .env.example
	@$(VENV_PYTHON) -m scripts.configuration_page $(ARGS)

bench: venv-dev ## Measure the gateway beside nginx, and judge its goals (8 minutes)
	@$(VENV_PYTHON) -m benchmarks $(ARGS)

bench-peers: venv-dev ## The same beside other gateways too, which it installs in .peers/, and write docs/benchmarks.md (15 minutes)
	@sh scripts/setup_peers.sh
	@$(VENV_PYTHON) -m benchmarks --peers --page $(ARGS)

dead-default: venv-dev ## Let the default model die, and hold the gateway to what its users are promised (6 minutes); DOOR=openai_chat by that door
	@$(VENV_PYTHON) -m resilience dead-default $(BY_DOOR) $(ARGS)

disconnects: venv-dev ## Have 10,000 clients leave, and look for what stays of them (2 minutes)
	@$(VENV_PYTHON) -m resilience disconnects $(BY_DOOR) $(ARGS)

soak: venv-dev ## Chat for SECONDS (600; 3600 judges the memory), with faults and clients that leave
	@$(VENV_PYTHON) -m resilience soak --seconds $(or $(SECONDS),600) $(BY_DOOR) $(ARGS)

rolling-restart: venv-dev ## Replace workers, and instances behind nginx, while chats come (2 minutes)
	@$(VENV_PYTHON) -m resilience rolling-restart $(BY_DOOR) $(ARGS)

overload: venv-dev ## Ask for ten times as many chats as there are slots for (1 minute)
	@$(VENV_PYTHON) -m resilience overload $(ARGS)

storm: venv-dev ## Send 100,000 requests, half of them malformed, and watch /health (5 minutes)
	@$(VENV_PYTHON) -m resilience storm $(ARGS)

agreement: venv-dev ## Compare metrics, logs and vendors after 10,000 mixed chats over two workers (4 minutes)
	@$(VENV_PYTHON) -m resilience agreement $(ARGS)

lock: venv-dev ## Renew the locks with the newest releases that are at least 7 days old
	@$(COMPILE_LOCK) --output-file requirements.lock requirements.txt
	@$(COMPILE_LOCK) --constraint requirements.lock --output-file requirements-dev.lock requirements-dev.txt

vendor-js: venv-dev ## Renew the page's libraries with the newest npm releases that are at least 7 days old
	@$(VENV_PYTHON) scripts/vendor_js.py

page-tools: ## Put axe-core and CommonMark's examples, with which the tests look at the page, into node_modules/
	@npm install --silent --no-save --no-package-lock --ignore-scripts axe-core@$(AXE_VERSION) commonmark-spec@$(COMMONMARK_VERSION)

screenshots: venv-dev ## Take the pictures in docs/screenshots/ from the running page
	@$(VENV_PYTHON) -m tests.page.page_screenshots

clean: ## Remove .venv, caches and reports
	@rm -rf .venv .peers .compat node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@PYTHON="$(PYTHON)" sh scripts/setup_venv.sh requirements.lock

venv-dev:
	@PYTHON="$(PYTHON)" sh scripts/setup_venv.sh requirements-dev.lock requirements.lock
