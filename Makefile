# `make demo` and `make test` do everything on a machine with Python 3.11+, make and the package index.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check lock clean

demo: .venv/.stamp-demo ## the system on a bundled dialogue: no microphone, service or download
	$(BIN)/affectstream demo

# A test process for each core, up to eight. When one has run out of tests it takes over half of
# what another has left, so that a module's fixtures are mostly made once. The tests start some two
# hundred Python processes, which is quicker with compiled modules.
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/.stamp-test ## the whole suite
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

check: .venv/.stamp-test ## style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

lock: ## write constraints.txt anew from a clean environment
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0 && .venv-lock/bin/python -m pip install --quiet '.[all,dev]'
	.venv-lock/bin/python tools/lock.py > constraints.txt
	rm -rf .venv-lock

.venv/bin/python:
	@echo "making the environment in .venv (torch is large: minutes on a slow line)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.12, say")'
	$(PYTHON) -m venv .venv

.venv/.stamp-demo: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[live]'
	@touch $@

.venv/.stamp-test: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[all,dev]'
	@touch $@ .venv/.stamp-demo

clean:
	rm -rf .venv .venv-lock build dist
