# `make run` shows the product and `make test` proves it; both make their environment first.
# Needs make, and Python 3.11 or newer with its venv module.

PYTHON ?= python3
VENV ?= .venv
PEERS ?= $(VENV)-bench
UV ?= uv

python := $(VENV)/bin/python
install := -m pip --disable-pip-version-check install --quiet --require-hashes
pip := $(python) $(install)
compile := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
resolve := $(compile) --extra demo --extra postgres pyproject.toml

# Run by an interpreter of any age, so written for all of them.
define requirements_of_python
import sys
if sys.version_info < (3, 11):
    sys.exit("Jobsite needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % sys.version_info[:2])
try:
    import ensurepip
    ensurepip.version()
except Exception:
    sys.exit("$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv")
endef
export requirements_of_python

.DEFAULT_GOAL := help
.PHONY: help run test bench lint format types lock clean

help: ## Tell what there is to make.
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 16

run: $(VENV)/.run-ok ## Run the shop, its workers and its partners. PORT=8001 picks another port.
	@exec $(python) manage.py demo --end-with-parent $(if $(PORT),--port $(PORT))

test: $(VENV)/.dev-ok ## Run the tests on a real Valkey and SQLite. ARGS="-k retry" is handed to pytest.
	@$(python) -m pytest -n auto -m "not e2e and not postgres and not slow" $(ARGS)

bench: $(VENV)/.dev-ok $(PEERS)/.bench-ok ## Measure beside RQ, Celery, Dramatiq and Huey. ARGS="faults --scenario worker-kill" kills workers.
	@BENCH_PEERS=$(PEERS)/bin/python $(python) -m bench $(or $(ARGS),drain)

lint: $(VENV)/.dev-ok ## Check style and format.
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .

format: $(VENV)/.dev-ok ## Put the code into its format.
	@$(python) -m ruff check --fix .
	@$(python) -m ruff format .

types: $(VENV)/.dev-ok ## Check the types.
	@$(python) -m mypy

lock: ## Resolve pyproject.toml and requirements/*.in anew into requirements/*.txt. Needs uv.
	$(resolve) --upgrade --output-file requirements/run.txt
	$(resolve) --upgrade requirements/dev.in --constraints requirements/run.txt --output-file requirements/dev.txt
	$(compile) --upgrade requirements/bench.in --output-file requirements/bench.txt

clean: ## Remove the environment and what tools left. Keeps var/, where the demo's data is.
	@rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A failed attempt leaves an interpreter without pip, at which the next make would stop: remove it.
$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on this machine. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c "$$requirements_of_python"
	@echo "Making the environment in $(VENV)/ (the first time only)."
	@$(PYTHON) -m venv --clear $(VENV) && touch $@ || { rm -rf $(VENV); exit 1; }

$(VENV)/.run-ok: $(VENV)/.made requirements/run.txt
	@echo "Installing the packages of requirements/run.txt."
	@$(pip) -r requirements/run.txt
	@touch $@

$(VENV)/.dev-ok: $(VENV)/.made requirements/dev.txt
	@echo "Installing the packages of requirements/dev.txt."
	@$(pip) -r requirements/dev.txt
	@touch $@ $(VENV)/.run-ok

$(PEERS)/.bench-ok: $(VENV)/.made requirements/bench.txt
	@echo "Installing the packages of requirements/bench.txt in $(PEERS)/."
	@$(python) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python $(install) -r requirements/bench.txt
	@touch $@
