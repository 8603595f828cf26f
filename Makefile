# Everything a fresh checkout needs is set up here: Python 3.11 or newer, make and pip's network are enough.
#
#   make demo    core install only, then the demonstration
#   make test    install with torch and the test tools, then the doctests and the fast tests
#   make slow    the tests marked slow
#   make floor   `make test` with the oldest supported releases, in an environment of its own
#   make lint    ruff and mypy
#   make clean   remove the environments and what was built

VENV ?= .venv
CONSTRAINTS ?= constraints.txt
# How the tests are spread over processes; `make test XDIST=` runs them in one.
XDIST ?= -n 2 --dist loadgroup
PYTEST_ARGS ?=
# The first interpreter that is new enough; `make PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

BIN := $(abspath $(VENV))/bin
STAGE := build/stage
METADATA := pyproject.toml setup.py $(CONSTRAINTS)

# Small models train fastest on one thread, and the tests run in several processes already.
test slow: export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test slow floor lint stage clean
.DELETE_ON_ERROR:

demo: $(VENV)/core.stamp
	$(BIN)/python -m mlunlearn demo

test: $(VENV)/test.stamp stage
	cd $(STAGE) && $(BIN)/python -m pytest --doctest-modules mlunlearn
	$(BIN)/python -m pytest -m "not slow" $(XDIST) $(PYTEST_ARGS)

slow: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

floor:
	$(MAKE) test VENV=.venv-floor CONSTRAINTS=constraints-floor.txt

lint: $(VENV)/lint.stamp stage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(STAGE) && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p mlunlearn

# The package laid out as it will be installed: the wings are only there visible to doctest and mypy. What an earlier
# build left in build/ would bring deleted modules back.
stage: $(VENV)/test.stamp
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target $(STAGE) .

$(VENV)/core.stamp: $(VENV)/venv.stamp $(METADATA)
	$(BIN)/python -m pip install -c $(CONSTRAINTS) -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/venv.stamp $(METADATA)
	$(BIN)/python -m pip install -c $(CONSTRAINTS) -e ".[graph,test]"
	touch $(VENV)/core.stamp $@

$(VENV)/lint.stamp: $(VENV)/test.stamp
	$(BIN)/python -m pip install -c $(CONSTRAINTS) -e ".[lint]"
	touch $@

$(VENV)/venv.stamp:
	@test -n "$(PYTHON)" || { \
		echo "mlunlearn needs Python 3.11 or newer and found none: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version.split()[0]; \
		sys.exit("mlunlearn needs Python 3.11 or newer; $(PYTHON) is " + v if sys.version_info < (3, 11) else 0)'
	@"$(PYTHON)" -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot make virtual environments: install its venv package" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	touch $@

clean:
	rm -rf $(VENV) .venv-floor build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find mlunlearn graph vision regression tests -name __pycache__ -type d -prune -exec rm -rf {} +
