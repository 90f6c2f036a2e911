# Everything starts from here: Python >= 3.11 and make are all that is needed. `make help` lists the targets.
# PYTHON=… names a Python for the virtual environment; ARGS=… is handed to pytest.
# ONLY=kafka,mongo,outbox starts only these with `make run`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
export PYTHONPATH := $(CURDIR)

.PHONY: help setup demo test run stop status fetch check clean rehearse train evaluate chaos bench

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r n t; do printf '  make %-8s %s\n' "$$n" "$$t"; done

setup: ## make .venv from requirements.lock (every other target does it by itself)
	@PYTHON="$(PYTHON)" sh deploy/local/bootstrap.sh

demo: setup ## the whole system and a realistic day of complaints; DEMO_EXIT=1 ends when the story is told
	@$(PY) -m deploy.demo

run: setup ## the system without demo traffic, data under .local/; Ctrl-C stops it
	@$(PY) -m deploy.local run $(if $(ONLY),--only $(ONLY))

stop: setup ## stop what `make run` started
	@$(PY) -m deploy.local stop

status: setup ## what is up, ready, and where
	@$(PY) -m deploy.local status

fetch: setup ## only download what a run needs, for a machine that will have no network
	@$(PY) -m deploy.local fetch

test: setup ## the whole suite against the real broker and database
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

rehearse: setup ## POLICY=a brand's folder: what the changed policy would have done to stored history; FROM=, TO= bound it
	@test -n "$(POLICY)" || { echo "POLICY=path/to/brand names the folder with the changed policy" >&2; exit 2; }
	@$(PY) -m services.sla rehearse "$(POLICY)" $(if $(FROM),--from "$(FROM)") $(if $(TO),--to "$(TO)")

train: setup ## learn the router's weights again from training/texts (same texts, same weights)
	@$(PY) -m training.train

evaluate: setup ## measure the router's understanding on held-out texts, into docs/evaluation.md; PINGXI_ASAP=folder adds real reviews
	@$(PY) -m training.evaluate

bench: setup ## the benchmarks, each beside a reference of the same run; BENCH="name …" picks, SHORT=1 takes a tenth of the load
	@$(PY) -m bench $(if $(SHORT),--short) $(BENCH)

chaos: setup ## fault runs against the running system; CHAOS_SECONDS=90 of load, CHAOS_SEED= plays a schedule again
	@$(PY) -m chaos --seconds $(or $(CHAOS_SECONDS),90) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED)) $(CHAOS_ARGS)

check: setup ## format, lint, types, import rules, contracts, policies: what CI runs before the tests
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m protos.check
	$(PY) -m common.policyfiles policies

clean: ## remove .local/ (the embedded data too) and the tools' caches; keeps .venv and downloads
	rm -rf .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
