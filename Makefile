# `make demo` and `make test` are all that anyone needs; CONTRIBUTING.md tells the others. All call `make setup`.
# `make setup` makes .venv with the package; `make setup DEV=1` adds every extra and the dev tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
comma := ,
# uv unpacks each distribution once and links the files into every environment: torch's 5 GB count once, not once an environment.
UV := UV_SYSTEM_CERTS=1 $(BIN)/uv
INSTALL := $(UV) pip install --quiet --constraint constraints.txt --python
EXTRAS := peers,modisco,image,ray,jaspar,parquet,zarr

.PHONY: setup demo test check coverage docs package test-lowest format fuzz real benchmark-speed benchmark-images benchmark-pipeline bench-small bench-full bench-development bench-real bench-curves bench-roar bench-images clean

setup: $(if $(DEV),$(VENV)/.dev-installed,$(VENV)/.installed)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON): Python 3.11 or newer is needed; name one with make PYTHON=python3.12 setup" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/uv
	$(INSTALL) $(BIN)/python --editable .
	touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(BIN)/uv
	$(INSTALL) $(BIN)/python --editable '.[$(EXTRAS)]' --group dev
	touch $@ $(VENV)/.installed

demo: setup
	$(BIN)/seqplrp demo --out demo-output --overwrite

# a worker a core, each with one thread: nets this small gain nothing by more; a file stays whole, as its tests share traces
test:
	@$(MAKE) --no-print-directory setup DEV=1
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

check:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

# The tests again, with what lines they ran: a table, and coverage.xml for editors.
coverage:
	@$(MAKE) --no-print-directory setup DEV=1
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --cov --cov-report=xml --cov-report=term:skip-covered

# The documentation as a site of files in site/; a link, an anchor or a name that leads nowhere is an error.
docs:
	@$(MAKE) --no-print-directory setup DEV=1
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Source archive and wheel in dist/; then the wheel in an environment of its own that holds nothing else: what it brought, what
# it takes to start, and the demo from it; then the source archive in its place.
package:
	@$(MAKE) --no-print-directory setup DEV=1
	rm -rf dist .venv-wheel
	$(BIN)/python -m build --no-isolation --outdir dist > /dev/null
	$(PYTHON) -m venv .venv-wheel
	$(INSTALL) .venv-wheel/bin/python dist/*.whl
	.venv-wheel/bin/python -I tests/installed.py
	.venv-wheel/bin/python -I benchmarks/startup.py
	cd .venv-wheel && bin/seqplrp demo --out demo
	$(INSTALL) .venv-wheel/bin/python --reinstall --no-deps dist/*.tar.gz
	.venv-wheel/bin/python -I tests/installed.py

# The tests with the oldest releases that pyproject.toml admits, of what seqplrp asks for itself (TESTS: which).
TESTS ?= tests

test-lowest:
	@$(MAKE) --no-print-directory setup DEV=1
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(UV) pip compile --quiet --resolution lowest-direct --python .venv-lowest pyproject.toml $(foreach extra,$(subst $(comma), ,$(EXTRAS)),--extra $(extra)) \
	  --output-file .venv-lowest/constraints.txt > /dev/null
	$(UV) pip install --quiet --python .venv-lowest --constraint .venv-lowest/constraints.txt --editable '.[$(EXTRAS)]' \
	  pip hatchling pytest pytest-xdist hypothesis zennit==0.5.1 bpnet-lite pyBigWig
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest --numprocesses auto --dist loadfile $(TESTS)

format:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Every reader of files from outside, or those of READERS, for so many SECONDS each; see fuzz/README.md.
SECONDS ?= 60
READERS ?= all

fuzz:
	@$(MAKE) --no-print-directory setup DEV=1
	$(INSTALL) $(BIN)/python --group fuzz
	$(BIN)/python fuzz/fuzz.py $(READERS) --seconds $(SECONDS)

# The chain on real ChIP-seq peaks; SEQPLRP_REAL_DATA names the folder that holds chipseq/*.fa.
real: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/real_chipseq.sh

# How long each method takes beside gradient x input, and its peak memory: tens of minutes, on a machine left alone.
benchmark-speed:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/python benchmarks/speed.py

# What explaining full-size VGG-16, VGG-19 and ResNet-50 costs beside gradient x input, and whether their ledgers balance.
benchmark-images:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/python benchmarks/images.py

# What the whole of `seqplrp explain` takes beside the engine, in time and memory.
benchmark-pipeline: setup
	$(BIN)/python benchmarks/pipeline.py

# Does it find the motifs? Five minutes; then the whole comparison, many hours, which can be stopped and goes on.
bench-small:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/seqplrp benchmark --config examples/benchmark/small.yaml --out benchmark-output/small

bench-full:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/seqplrp benchmark --config examples/benchmark/full.yaml --out benchmark-output/full

# What defaults were chosen on; the same on real peaks (SEQPLRP_REAL_DATA as above); deletion and insertion curves; remove
# and retrain. All go on after a stop.
bench-development bench-real bench-curves:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/seqplrp benchmark --config examples/benchmark/$(@:bench-%=%).yaml --out benchmark-output/$(@:bench-%=%)

bench-roar:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/python examples/roar.py benchmark-output/roar

# The image benchmark: slim VGG-16 and ResNet-50, trained on shapes (three seeds each), by every method of the family.
bench-images:
	@$(MAKE) --no-print-directory setup DEV=1
	$(BIN)/seqplrp image benchmark --config examples/images/shapes.yaml --out benchmark-output/images

clean:
	rm -rf $(VENV) .venv-wheel .venv-lowest site coverage.xml .coverage demo-output fuzz-output benchmark-output/small build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
