# The commands of this project; the README shows the plain ones behind them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-host test check lint types imports coverage bench clean

demo: $(VENV)/ready
	$(BIN)/ktrdr data import examples/data/EURUSD_1h.csv.gz examples/data/AAPL_1d.csv.gz examples/data/IBM_1d.csv.gz \
		examples/data/MSFT_1d.csv.gz examples/data/GOOG_1d.csv.gz
	$(BIN)/ktrdr models train strategies/eurusd_momentum.yaml

demo-host: $(VENV)/ready
	$(BIN)/ktrdr data import examples/data/EURUSD_1h.csv.gz
	$(BIN)/python examples/demo_host.py

test: $(VENV)/ready
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 --cov --cov-report= --cov-fail-under=0 tests/execution/labels \
		tests/execution/trades/test_positions.py
	$(BIN)/python -m pytest -n 2 --cov --cov-append --cov-report=term

check: lint types imports test

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

imports: $(VENV)/ready
	$(BIN)/lint-imports

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# The environment, made anew when the dependencies change.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@echo 'Installing the packages; this takes a minute or two.'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
