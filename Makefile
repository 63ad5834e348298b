# Two commands set everything up: `make demo` and `make test`.  Each makes its own .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := requirements/constraints.txt
# Large blocks stay with the process instead of going back to the kernel after every layer: training is up to 1.4x as fast.
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 8589934592
# Compiled modules are kept, as those of an installation are: Python starts a quarter sooner, and tests start it often.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint docs wheel fuzz bench results clean

help:
	@echo "make demo    install, compress a photograph with every codec, open the report"
	@echo "make test    install, run the tests"
	@echo "make lint    ruff and mypy"
	@echo "make docs    build the documentation into site/; dead links are errors"
	@echo "make wheel   build sdist and wheel into dist/, check them, install the wheel into an empty environment and use it"
	@echo "make fuzz    fuzzing: the .wlic parser guided by coverage for SECONDS=60, JPEG 2000 by mutation"
	@echo "make bench   benchmarks of time and memory into results/benchmarks/; BENCH=--quick: small and without results"
	@echo "make results IMAGES=DIR   evaluate our codecs on a folder of images into results/"

demo: $(VENV)/.eval
	$(BIN)/wavelic demo --out demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 40 --durations-min 3

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests applications benchmarks fuzz examples
	$(BIN)/mypy

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

wheel: $(VENV)/.dev
	rm -rf build dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python .ci/check_wheel.py dist

SECONDS ?= 60
fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) -e '.[fuzz]'
	$(BIN)/python fuzz/fuzz_container.py -max_total_time=$(SECONDS)
	$(BIN)/python fuzz/fuzz_jpeg2000.py --files 3000

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.speed $(BENCH)

IMAGES ?= data/kodak
results: $(VENV)/.eval
	for codec in wcae wcae-64 nowcae; do $(BIN)/wavelic eval $$codec --images $(IMAGES) --json results/codecs/kodak/$$codec.json || exit 1; done
	$(BIN)/wavelic eval wcae --published --images $(IMAGES) --json results/codecs/kodak/wcae-published.json
	$(BIN)/wavelic eval weconvene --images $(IMAGES) --json results/codecs/kodak/weconvene.json --qualities 5,15,28,40,52,64,76,88,100
	$(BIN)/wavelic eval 3dm --images $(IMAGES) --json results/codecs/kodak/3dm.json --qualities 0,20,40,60,80,100
	WAVELIC_WEIGHTS=results/threedm/weights $(BIN)/wavelic eval benchmarks/studies/threedm_twins.py:PLAIN --images $(IMAGES) --json results/codecs/kodak/3dm-plain.json --qualities 0,20,40,60,80,100

clean:
	rm -rf $(VENV) demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Debian splits ensurepip off into python3-venv; without it, the system's pip installs into the new environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "wavelic needs Python 3.11 or later; found $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip setuptools; }

$(VENV)/.eval: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/python -m pip install --constraint $(CONSTRAINTS) -e '.[eval,serve]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/python -m pip install --constraint $(CONSTRAINTS) -e '.[dev]'
	@touch $@ $(VENV)/.eval

$(VENV)/.docs: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/python -m pip install --constraint $(CONSTRAINTS) -e '.[docs]'
	@touch $@
