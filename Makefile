# `make help` lists the targets. PYTHON and TORCH may be set: make figures PYTHON=python3.12 TORCH=torch==2.12.0
PYTHON ?= python3
TORCH ?= torch==2.13.0
CORES ?= all
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
PYTEST := python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint envs/constraints.txt

.PHONY: help figures paper test test-costly test-all test-slurm cluster reliability lint format docs benchmark clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

figures: $(VENV)/.run ## install, then make every table, figure and the report of config.yaml
	snakemake --cores $(CORES)

paper: $(VENV)/.run ## put all of these into results/paper.pdf as well (needs pdflatex: Debian's texlive-latex-recommended)
	snakemake --cores $(CORES) paper

test: $(VENV)/.dev ## install, then run the fast tests
	$(PYTEST)

test-costly: $(VENV)/.dev ## run the costlier tiers: also those with Snakemake, injected faults, the packaged model, a browser or a GPU
	$(PYTEST) -m "slow or reliability or workflow or real or browser or gpu"

test-all: test test-costly ## run all tests except those on Slurm (tiers and times: tests/README.md)

test-slurm: $(VENV)/.dev ## install and start a Slurm cluster (root on Debian), and run the tests that need one
	python -m pytest -m slurm

cluster: $(VENV)/.dev ## run the default experiment on that cluster, in results/ as ever (root on Debian)
	tests/slurm/cluster.sh start
	snakemake --profile slurm; status=$$?; tests/slurm/cluster.sh stop; exit $$status

reliability: $(VENV)/.dev ## inject the faults of docs/reliability.md and count what survived
	$(PYTEST) -m reliability

lint: $(VENV)/.dev ## check format, style, types and workflow
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile rules
	mypy
	lint-imports --no-cache --no-logo
	snakemake --lint

format: $(VENV)/.dev ## format Python and Snakemake files
	ruff format .
	ruff check --fix .
	snakefmt Snakefile rules

docs: $(VENV)/.dev ## make the documentation in site/, to be opened in a browser
	python -m pcft.config.docs.settings_page docs/settings.md
	python -m pcft.config.docs.json_schema config/config.schema.json
	mkdocs build --strict

benchmark: $(VENV)/.dev ## measure everything in docs/performance.md and docs/corpora.md, both sides of each comparison; takes hours
	python -m benchmarks.training
	python -m benchmarks.start
	python -m benchmarks.experiment
	python -m benchmarks.ablation
	python -m benchmarks.exchange
	python -m benchmarks.scaling --figure results/scaling.png
	python -m benchmarks.clients --figure results/clients.png
	python -m benchmarks.kernels
	python -m benchmarks.grid
	snakemake --cores $(CORES) results/models/smollm2-135m/manifest.json
	python -m benchmarks.corpora results/models/smollm2-135m

clean: ## remove the environment and everything that was made
	rm -rf $(VENV) .snakemake site
	find results -mindepth 1 -not -name README.md -delete

# Torch comes first and by itself, so that a build for this machine (CPU or CUDA) can be chosen by TORCH.
$(VENV)/.run: pyproject.toml envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV) (about a minute, more on a slow network)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable ".[dev,docs,mlflow,s3,slurm,tensorboard,wandb]"
	@touch $@
