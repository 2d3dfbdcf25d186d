# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# pip's own configuration names where wheels lie; uv has to be told.
UV := UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(BIN)/uv

# Containers tend to forbid bytecode, and each process then compiles its libraries anew, for 10 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup up test test-system lint types format browser constraints clean

run: setup
	$(BIN)/voiceforge run --domain telephony-en --try-service

up: setup
	$(BIN)/voiceforge up

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

# NeMo weighs more than all the rest: its tests bring it, `make run` does without.
$(VENV)/.nemo: $(VENV)/.ready
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,nemo]'
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup
	$(BIN)/mypy

test: setup $(VENV)/.nemo
	$(BIN)/pytest -m "not system" -n 2 --dist loadfile

test-system: setup $(VENV)/.nemo browser
	$(BIN)/pytest -m system -n 2 --dist loadfile --ignore tests/system
	$(BIN)/pytest -m system -n 2 --dist loadfile tests/system

# Pages are looked at in a real browser.
browser:
	@command -v chromium >/dev/null || { \
	  sudo=$$(test "$$(id -u)" = 0 || echo sudo); \
	  $$sudo apt-get -qq update && $$sudo apt-get -qq install -y --no-install-recommends chromium; }

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: setup
	$(UV) pip compile --quiet --upgrade --no-header --no-annotate --output-file constraints.txt \
	  pyproject.toml --extra nemo --extra triton --extra s3 --extra postgres --extra dev

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache
