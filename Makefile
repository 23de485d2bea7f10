# Every target sets up what it needs in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAYERS := solvers datasets surrogates constraints
PACKAGING := pyproject.toml setup.cfg
# A current folder on sys.path would let our `datasets` shadow other people's.
export PYTHONSAFEPATH := 1

.PHONY: demo test slow browser lint types wheel docs clean

demo: $(VENV)/.run
	$(BIN)/lawbound demo --out demo-report

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 -m "not slow and not browser"

slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

# Needs Chromium on the path.
browser: $(VENV)/.dev
	$(BIN)/pytest -m browser

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Type checkers do not see setuptools' mapping of folders to packages; a tree of links shows it to them.
types: $(VENV)/.dev
	rm -rf build/types
	mkdir -p build/types/lawbound
	ln -sfn $(addprefix ../../../,$(LAYERS)) build/types/lawbound
	ln -sfn $(addprefix ../../../,$(wildcard lawbound/*.py lawbound/py.typed)) build/types/lawbound
	$(BIN)/mypy

# The wheel, installed beside the same dependencies but away from the source tree, passes the tests of the face.
wheel: $(VENV)/.dev
	rm -rf build/lib build/wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel .
	$(PYTHON) -m venv --clear --without-pip build/wheel/venv
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$(echo build/wheel/venv/lib/python*/site-packages)/dependencies.pth
	$(BIN)/pip --python build/wheel/venv/bin/python install --quiet --no-deps --no-index build/wheel/*.whl
	cp -r tests build/wheel/tests
	cd build/wheel && venv/bin/python -P -m pytest -c ../../pyproject.toml --rootdir . -p no:cacheprovider -q -m "not slow and not browser" \
		tests/test_doctests.py tests/constraints/test_real_input.py \
		$(addprefix tests/lawbound/test_,cli.py demo.py pretrained.py report.py reproduce.py table.py)

# The site, in build/docs/index.html. Its gallery is run, warnings are errors, and every link within it must lead somewhere.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -d build/doctrees docs build/docs
	$(BIN)/python tools/check_site.py build/docs

clean:
	rm -rf $(VENV) build demo-report docs/auto

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"lawbound needs Python 3.11 or newer, $(PYTHON) is {v[0]}.{v[1]}; run: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python requirements.lock $(PACKAGING)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

$(VENV)/.docs: $(VENV)/.run requirements-docs.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-docs.lock
	@touch $@
