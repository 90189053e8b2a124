# The front door. The work is done in tools/: setup.py installs and builds, run.bash runs a command in that environment.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup test demo lint format bench reference clean

PYTHON ?= python3
SEED ?=
ARGS ?=
RUN := tools/run.bash

help:  ## List what can be made.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

setup:  ## Install and build what is missing: environment, wheels, packages. Safe to repeat.
	@$(PYTHON) tools/setup.py

demo: setup  ## Bring the graph up in simulation and transfer a cube. SEED=7 tries another scene, ARGS="..." passes options.
	@$(RUN) python -m cosmos_policy.demo.main $(if $(SEED),--seed $(SEED)) $(ARGS)

test: setup  ## Run every test. ARGS="-k executor" selects.
ifeq ($(strip $(ARGS)),)
	@$(RUN) python -m pytest --ignore=test/test_whole_graph.py
	@$(RUN) python -m pytest test/test_whole_graph.py  # alone: six processes that keep real time
else
	@$(RUN) python -m pytest $(ARGS)
endif

lint: setup  ## Check style and types.
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: setup  ## Put imports and layout in order.
	@$(RUN) ruff check --select I --fix --quiet .
	@$(RUN) ruff format .

bench: setup  ## Measure the model, the planner and the simulated cell on this machine. ARGS="--json" for machines.
	@$(RUN) cosmos-policy bench model $(ARGS)
	@$(RUN) cosmos-policy bench planner $(ARGS)
	@$(RUN) python -m aloha_sim.bench --node $(ARGS)

reference: setup  ## Write docs/reference from the code it describes.
	@$(RUN) python tools/write_reference.py

clean:  ## Remove what setup made; data and checkpoints stay.
	@rm -rf .venv .setup build install log .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find src test tools -name __pycache__ -prune -exec rm -rf {} +
	@find src -name '*.egg-info' -prune -exec rm -rf {} +
	@echo "removed .venv, build, install, log and caches"
