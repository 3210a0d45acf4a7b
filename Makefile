# The front door: `make` lists what there is to do. Every target installs what it needs, once, into .venv.

PYTHON ?= python3
CONFIG ?= experiments/omniglot.yaml
SWEEP ?= experiments/omniglot_sweep.yaml

# Build tools follow constraints.txt as well, so that a clone made next year installs the same.
# The paths are relative because pip splits these variables at spaces.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

off := 0 no false
FLAGS = $(if $(filter-out $(off),$(RESUME)),--resume true) \
        $(if $(filter-out $(off),$(STRICT)),--data.strict true)
OMNIGLOT = $(if $(filter glyphs,$(DATA)),--data.source siamese.datasets.glyphs.Glyphs --data.extra null) \
           $(if $(SEED),--seed_everything $(SEED))
FACES = $(if $(filter cartoons,$(DATA)),--data.source siamese.datasets.cartoons.Cartoons) \
        $(if $(SPLITS),--seeds $(SPLITS)) $(if $(WORKERS),--workers $(WORKERS))
SEEDED = $(if $(SEEDS),--seeds $(SEEDS)) $(if $(WORKERS),--workers $(WORKERS))
SEARCH = $(if $(TRIALS),--trials $(TRIALS)) $(if $(WORKERS),--workers $(WORKERS)) \
         $(if $(filter-out $(off),$(STRICT)),--data.strict true)
# Of networks that use all cores by themselves.
LARGE = $(if $(SEEDS),--seeds $(SEEDS)) --workers $(or $(WORKERS),1)

ifneq ($(filter train-omniglot,$(MAKECMDGOALS)),)
ifneq ($(filter-out omniglot glyphs,$(DATA)),)
$(error DATA=$(DATA) is not known: say DATA=omniglot (the default) or DATA=glyphs)
endif
endif

ifneq ($(filter train-att-faces,$(MAKECMDGOALS)),)
ifneq ($(filter-out att-faces cartoons,$(DATA)),)
$(error DATA=$(DATA) is not known: say DATA=att-faces (the default) or DATA=cartoons)
endif
endif

.PHONY: help train-omniglot train-att-faces train-mnist train-multilabel train-posters record sweep demo test lint bench bench-device bench-speed bench-active clean

help: ## list the targets (what plain `make` does)
	@awk -F ':.*## ' '/^[A-Za-z0-9_-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train-omniglot: .venv/.installed ## train and test on Omniglot [RESUME=1 STRICT=1 DATA=glyphs SEED=3 CONFIG=… ARGS=…]
	.venv/bin/python -m siamese fit --config $(CONFIG) $(strip $(FLAGS) $(OMNIGLOT)) $(ARGS)

train-att-faces: .venv/.installed ## train and test on the AT&T faces, 20 splits [SPLITS=3 WORKERS=2 RESUME=1 STRICT=1 DATA=cartoons ARGS=…]
	.venv/bin/python -m siamese study experiments/att_faces_study.yaml $(strip $(FLAGS) $(FACES)) $(ARGS)

train-mnist: .venv/.installed ## train and test on MNIST with and without the L2 constraint [SEEDS=1 WORKERS=2 RESUME=1 STRICT=1 ARGS=…]
	.venv/bin/python -m siamese study experiments/mnist_study.yaml $(strip $(FLAGS) $(SEEDED)) $(ARGS)

train-multilabel: .venv/.installed ## several labels an image: CIFAR-10 tiles, two losses, two networks [SEEDS=1 WORKERS=2 RESUME=1 STRICT=1 ARGS=…]
	.venv/bin/python -m siamese study experiments/multilabel_study.yaml $(strip $(FLAGS) $(LARGE)) $(ARGS)

train-posters: .venv/.installed ## the genres of movie posters, three networks [SEEDS=1 WORKERS=2 RESUME=1 ARGS=…]
	.venv/bin/python -m siamese study experiments/posters_study.yaml $(strip $(FLAGS) $(LARGE)) $(ARGS)

record: .venv/.installed ## the Omniglot record: five seeds each, mean, worst and best [SEEDS=1 RESUME=1 STRICT=1 ARGS=…]
	.venv/bin/python -m siamese study experiments/omniglot_study.yaml $(strip $(FLAGS) $(LARGE)) $(ARGS)

sweep: .venv/.installed ## search options on validation images by Optuna [TRIALS=20 WORKERS=2 STRICT=1 SWEEP=… ARGS=…]
	.venv/bin/python -m siamese sweep $(SWEEP) $(strip $(SEARCH)) $(ARGS)

demo: .venv/.installed ## a page to draw on, for this machine only [PORT=7860 ARGS="--open"]
	.venv/bin/python -m siamese demo $(if $(PORT),--port $(PORT)) $(ARGS)

# Each of a few processes takes one core for itself: threads of several would stand in one another's way.
test: .venv/.installed ## run the tests, in several processes [ARGS="-k pairs"]
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

lint: .venv/.installed ## check style and types (ruff, mypy)
	.venv/bin/python -m ruff check .
	.venv/bin/python -m mypy

bench: .venv/.installed ## measure the speed of the hot paths, and training beside a plain implementation [ARGS="--race --peers"]
	.venv/bin/python experiments/bench.py $(ARGS)

bench-device: .venv/.installed ## measure how much of the device's matrix rate training uses [ARGS="--compile"]
	.venv/bin/python experiments/bench_device.py $(ARGS)

bench-speed: .venv/.installed ## measure what each part of the quick default brings, in seconds and accuracy [ARGS="--seeds 5"]
	.venv/bin/python experiments/bench_speed.py $(ARGS)

bench-active: .venv/.installed ## measure how many labels each strategy of active learning needs [ARGS="--seeds 10"]
	.venv/bin/python experiments/bench_active.py $(ARGS)

clean: ## remove .venv and the caches of tools; data/ and runs/ stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis build siamese.egg-info
	find siamese tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is touched last, so an install that was cut off goes on with the next call. pip leaves INSTALLER as one of
# the last files of a package: where one lacks it, where pip is missing or Python does not start, .venv is made anew.
# bin goes first, so that a removal cut off is seen as well.
whole := import sys, sysconfig; from importlib.metadata import distributions; \
  found = {d.metadata["Name"]: d.read_text("INSTALLER") for d in distributions(path=[sysconfig.get_path("purelib")])}; \
  sys.exit(sys.version_info < (3, 10) or "pip" not in found or not all(found.values()))

.venv/.installed: setup.cfg pyproject.toml constraints.txt
	@command -v $(firstword $(PYTHON)) >/dev/null || \
	  { echo "There is no $(PYTHON) here; Python 3.10 or newer is needed. Say: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.10 or newer is needed. Say: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make a virtual environment; install its venv package (Debian: python3-venv)" >&2; exit 1; }
	@.venv/bin/python -c '$(whole)' 2>/dev/null || \
	  { rm -rf .venv/bin && rm -rf .venv && $(PYTHON) -m venv .venv; }
	.venv/bin/python -m pip install pip setuptools
	.venv/bin/python -m pip install -e '.[dev]'
	@touch $@
