# Set-up and the main jobs, each one command on a fresh machine with Python 3.10 to 3.12.
PYTHON ?= python3
BIN := .venv/bin
FUZZ_SECONDS ?= 120

.PHONY: demo test test-all test-export fuzz lint clean

demo: .venv/ready
	$(BIN)/python CMMDL_test.py --data test_img --out result

test: .venv/ready-test lint
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/ready-test lint
	$(BIN)/python -m pytest

test-export: .venv/ready-export
	$(BIN)/python -m pytest tests/utils/test_export.py

fuzz: .venv/ready-test
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

lint: .venv/ready-test
	$(BIN)/ruff check .

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

.venv/ready-test: .venv/ready requirements-test.txt
	$(BIN)/python -m pip install --quiet -r requirements-test.txt
	@touch $@

.venv/ready-export: .venv/ready-test requirements-export.txt
	$(BIN)/python -m pip install --quiet -r requirements-export.txt
	@touch $@

clean:
	rm -rf .venv result runs
