# Set-up and the main jobs, each one command on a fresh machine with Python 3.10 to 3.14.
PYTHON ?= python3
BIN := .venv/bin
FUZZ_SECONDS ?= 120
METHODS ?= cmmdl cmmdl-lite

.NOTPARALLEL:  # two installations into one environment would disturb each other
.PHONY: demo app tables test test-all test-app test-export test-downstream fuzz lint lock clean

demo: .venv/ready
	$(BIN)/python CMMDL_test.py --data test_img --out result

app: .venv/ready-app
	$(BIN)/python CMMDL_app.py

# Every table of scores: make tables DATA="TNO RoadScene" [LIMIT=N] [METHODS="cmmdl mlfuse" WEIGHTS="mlfuse=MLFuse.pth"];
# goes on where it was interrupted. Refused inputs (status 1) do not keep the second protocol from its tables.
tables: .venv/ready
	@test -n "$(DATA)" || { echo 'make tables: name the pair folders, as in DATA="TNO RoadScene"'; exit 2; }
	refused=0; for protocol in cddfuse cmmdl; do \
	  $(BIN)/python CMMDL_test.py --data $(DATA) $(METHODS:%=--method %) $(WEIGHTS:%=--weights %) \
	    $(LIMIT:%=--limit %) --protocol $$protocol --published --continue \
	    --out result/tables/$$protocol || { status=$$?; test $$status = 1 || exit $$status; refused=1; }; \
	done; exit $$refused

# One process for each core; the slow tests measure, and run alone.
test: .venv/ready-test lint
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile

test-all: test
	$(BIN)/python -m pytest -m slow

# Chromium comes from Debian's packages where this is Debian and root; elsewhere the page's tests skip without it.
test-app: .venv/ready-test .venv/ready-app
	$(BIN)/python -m pip install --quiet selenium==4.51.0
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq chromium chromium-driver; \
	else echo "please install chromium and chromedriver (Debian: apt-get install chromium chromium-driver)"; fi
	$(BIN)/python -m pytest -rs tests/utils/test_uploads.py tests/scripts/test_app.py

test-export: .venv/ready-export
	$(BIN)/python -m pytest tests/utils/test_export.py tests/benchmarks/test_runtimes.py

test-downstream: .venv/ready-downstream
	$(BIN)/python -m pytest -rs tests/downstream

fuzz: .venv/ready-test
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

lint: .venv/ready-test
	$(BIN)/ruff check .

# Every version again, after a change of requirements.txt; LOCK=--upgrade takes the newest that fit.
lock: .venv/ready
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
	  --no-emit-package torch --custom-compile-command "make lock" $(LOCK) requirements.txt -o requirements.lock

# The lock has all but torch, whose build for this machine (CUDA or CPU) the index at hand decides.
.venv/ready: requirements.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' || \
	  { echo "$(PYTHON) is not Python 3.10 to 3.14; please name one that is, as in: make demo PYTHON=python3.12"; exit 2; } >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

.venv/ready-test: .venv/ready requirements-test.txt
	$(BIN)/python -m pip install --quiet -r requirements-test.txt
	@touch $@

.venv/ready-app: .venv/ready requirements-app.txt
	$(BIN)/python -m pip install --quiet -r requirements-app.txt
	@touch $@

.venv/ready-export: .venv/ready-test requirements-export.txt
	$(BIN)/python -m pip install --quiet -r requirements-export.txt
	@touch $@

.venv/ready-downstream: .venv/ready-test requirements-downstream.txt
	$(BIN)/python -m pip install --quiet -r requirements-downstream.txt
	@touch $@

# The environment alone: results and trained networks took longer to make.
clean:
	rm -rf .venv
