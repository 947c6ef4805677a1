# Every target sets up .venv first; that is quick when nothing changed.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# Servers named by the environment are one for all tests, and some tests compare them before and after.
# Otherwise four on two cores: a real test waits for half of its time. The thorough ones wait for less of it.
ONE := $(DOCKER_HOST)$(DOCKMGR_BROKER_URL)
REAL = $(PYTHON) -m pytest --durations 10 --ignore tests/real/test_desk.py tests/real
# Alone: a browser drops its connections when others make bridges.
DESK = $(PYTHON) -m pytest tests/real/test_desk.py
PACKAGES := dev dockmgr instances tasks tests
DJANGO := 5.2

unexport PYTHONDONTWRITEBYTECODE  # with bytecode every test process starts twice as fast

.PHONY: help setup demo up test test-thorough test-engines check lock image bench clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile

setup: ## make .venv with everything in it
	@./dev/setup.sh

demo: setup ## three customers on real containers, two broken and healed (KEEP=1 keeps them)
	@$(PYTHON) -m dev.demo

up: setup ## web, workers and beat in the foreground until Ctrl-C
	@$(PYTHON) -m dev.up

test: setup check ## format, types and the tests: every promise once, on real servers
	$(PYTHON) -m pytest -n 2 tests/pure tests/fast tests/web
	$(REAL) -n $(if $(ONE),0,4) -m "not thorough"
	$(DESK) -m "not thorough"

test-thorough: setup ## the rest of the tests: at every step, on every image, over every outage
	$(REAL) -n $(if $(ONE),0,3) -m thorough
	$(DESK) -m thorough


test-engines: setup ## what engines promise, on Debian's newest ones too (root on Debian; half an hour, not part of `make test`)
	@$(PYTHON) -m dev.engines

check: setup ## format, lint, spelling, types, import rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/typos
	find instances -name '*.html' -exec .venv/bin/djade --check --target-version $(DJANGO) {} +
	find $(PACKAGES) manage.py -name '*.py' -exec .venv/bin/django-upgrade --check --target-version $(DJANGO) {} +
	.venv/bin/mypy $(PACKAGES) manage.py
	.venv/bin/lint-imports

lock: setup ## requirements-runtime.txt anew, after a change of requirements.txt
	@(echo "# What the image installs: the first part of requirements.txt with all it brings along, by hash. Made by \`make lock\`."; \
	sed '/^# What its tests/,$$d' requirements.txt | $(PYTHON) -m uv pip compile - --constraint requirements.txt --quiet \
	--generate-hashes --no-annotate --no-header --python-version 3.11 --python-platform linux) > requirements-runtime.new
	@mv requirements-runtime.new requirements-runtime.txt

image: ## the image dockmgr:latest, with its version and commit as labels
	docker build --tag dockmgr:latest --build-arg REVISION=$$(git rev-parse HEAD) .

bench: setup ## the benchmarks
	@$(PYTHON) -m bench

clean: ## remove what the other targets made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
