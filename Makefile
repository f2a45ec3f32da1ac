# Everything installs into .venv; an interrupted or repeated command takes up where it was.
PYTHON ?= python3
VENV ?= .venv
R ?= yes
ARGS ?=
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install -c constraints.txt

# As many threads as there are cores, and no spinning while they wait: a busy neighbour would make it crawl.
CORES := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS ?= $(CORES)
export OPENBLAS_NUM_THREADS ?= $(OMP_NUM_THREADS)
export MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)
export OMP_WAIT_POLICY ?= passive

.PHONY: help reproduce everything smoke page check quick test docs r lint clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=python3.12, R=no (leave R out), ARGS='...' (passed on to the run or to pytest)"

reproduce: $(VENV)/.base ## compute the imputation benchmark on CORTEX anew, and say how it compares with the committed one
	$(BIN)/python -m experiments.run +exp=imputation results_dir=results/reproduced $(ARGS)
	$(BIN)/python -m experiments.compare results results/reproduced

# Every experiment on every data set it is about. DATA=standin/ takes public data close to the paper's where those are
# not at hand (datasets/README.md).
DATA ?=
OWN := $(if $(DATA),,scalability:brain_large technical:brain_small structure:hemato)
RUNS ?= imputation:cortex likelihood:cortex clustering:cortex posterior:cortex stability:cortex structure:cortex \
	tables:cortex structure:random_zinb $(DATA:standin/=structure:standin/hemato_continuous) \
	clustering:$(DATA)pbmc differential:$(DATA)pbmc technical:$(DATA)pbmc tables:$(DATA)pbmc protein:$(DATA)cbmc \
	batch:$(DATA)retina batch:$(DATA)pbmc imputation:$(DATA)pbmc imputation:$(DATA)hemato imputation:$(DATA)retina \
	imputation:$(DATA)brain_large likelihood:$(DATA)brain_large denoising:cortex denoising:$(DATA)brain_large \
	imputed:cortex imputed:$(DATA)pbmc tuning:cortex tuning:$(DATA)pbmc tuning:$(DATA)brain_large \
	zero_inflation:cortex zero_inflation:standin/zi_synthetic zero_inflation:$(DATA)pbmc zero_inflation:$(DATA)retina $(OWN)

everything: $(VENV)/.base ## every experiment, both protocols, then what each difference moves (days; DATA=standin/ ARGS='seeds=[0,1,2]')
	@failed=0; for run in $(RUNS); do \
		echo "== $$run"; \
		$(BIN)/python -m experiments.run -m +exp=$${run%%:*} dataset=$${run#*:} protocol=as_written,as_run $(ARGS) || failed=1; \
	done; $(BIN)/python -m experiments.deviations; exit $$failed

smoke: $(VENV)/.base ## every experiment from data to figures on a few simulated cells: minutes, and its numbers mean nothing
	$(BIN)/python -m experiments.run -m '+exp=glob(*)' scale=smoke dataset=simulated results_dir=results/smoke $(ARGS)

page: $(VENV)/.base ## draw tables, figures (PNG, PDF, CSV) and the page again from the records that are here
	$(BIN)/python -m experiments.redraw $(ARGS)

check: $(VENV)/.base ## compute six quick jobs on record again and say how equal they come out
	$(BIN)/python -m experiments.check --n 6 --at-most 8 $(ARGS)

# One worker on each core, a thread each; the tests of a file stay together, for they share what was fitted once.
PYTEST = $(BIN)/python -m pytest -n $(CORES) --dist loadfile
quick test: OMP_NUM_THREADS := 1

quick: $(VENV)/.dev ## the tests to run before a commit: without R, clusters and whole runs
	$(PYTEST) -m 'not slow and not r and not cluster' $(ARGS)

test: $(VENV)/.dev $(if $(filter no,$(R)),,r) ## install all that the tests need, R included where that is possible, and run them
	$(PYTEST) $(ARGS)

docs: $(VENV)/.dev ## build the documentation into build/docs (index.html opens without a server)
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs build/docs $(ARGS)
	@echo "Documentation: build/docs/index.html"

r: $(VENV)/.dev ## install R and the bridge to it (as root on Debian 12; elsewhere it says what to do)
	@sh r_env/install.sh || test $$? -eq 2
	@if command -v R >/dev/null; then $(MAKE) --no-print-directory $(VENV)/.r; fi

lint: $(VENV)/.dev ## check format and style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## remove the environment and the caches; results stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.base: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer, or name it with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed and $(PYTHON) is older: name another with make PYTHON=python3.12." >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV): this takes minutes the first time."
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install pip; } # no ensurepip
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) --quiet -e '.[dev,docs,magic,harmony,scanorama]'
	@touch $@

# rpy2's ABI mode needs neither a compiler nor header files.
$(VENV)/.r: $(VENV)/.dev
	RPY2_CFFI_MODE=ABI $(PIP) --quiet -e '.[r]'
	@$(BIN)/python -c 'from r_env.bridge import available; raise SystemExit(available())'
	@touch $@
