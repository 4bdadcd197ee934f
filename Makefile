# make demo   compiles and distils the shipped task on the embedded model, prints the leaderboard
# make test   lint, types, tests
#
# Both set up what they need, in the active virtual environment if there is one, otherwise in .venv.

VENV ?= $(or $(VIRTUAL_ENV),.venv)
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
PIP = "$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt
BIN = $(VENV)/bin

.PHONY: demo test check browser clean help
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# //p' Makefile | head -2

demo: $(VENV)/.dstill-installed
	"$(BIN)/dstill" run docs/demo.toml

# Three workers on two cores: for a third of their time tests wait for other processes.
test: check browser
	"$(BIN)/python" -m pytest -n 3

# Pages are tested in a real Chromium; where there is none and it can, this installs Debian's.
HAS_CHROMIUM = command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null
browser:
	@$(HAS_CHROMIUM) || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		echo "installing Chromium, in which pages are tested" && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		chromium chromium-driver fonts-dejavu-core >/dev/null; } || \
		echo "*** NO CHROMIUM: the tests of pages are skipped; install chromium and chromium-driver (Debian's names) ***"

check: $(VENV)/.dstill-test-installed
	"$(BIN)/ruff" check
	"$(BIN)/ruff" format --check
	rm -rf build
	$(PIP) --no-deps --no-build-isolation --target build/typed .
	cd build/typed && "$(abspath $(BIN))/mypy" --config-file ../../pyproject.toml -p dstill

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "dstill needs Python 3.11 or newer: install it, or make PYTHON=/path/to/python"; exit 1; }
	@test -x "$(BIN)/python" || "$(PYTHON)" -m venv "$(VENV)"
	@"$(BIN)/python" -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "dstill needs Python 3.11 or newer, and $(VENV) has another: make VENV=/path/to/one"; exit 1; }
	@touch $@

# torch first and by its exact version: a range may bring gigabytes for accelerators that are not there.
$(VENV)/.torch: $(VENV)/.python constraints.txt
	@echo "installing dstill and what it stands on into $(VENV) (some minutes the first time)"
	$(PIP) $(shell grep '^torch==' constraints.txt)
	@touch $@

$(VENV)/.dstill-installed: $(VENV)/.torch pyproject.toml
	$(PIP) -e .
	@touch $@

$(VENV)/.dstill-test-installed: $(VENV)/.torch pyproject.toml
	$(PIP) -e ".[test]"
	@touch $@ $(VENV)/.dstill-installed
