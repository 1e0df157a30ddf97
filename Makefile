# Everything needs only Python 3.11-3.13, make and git. `make demo` and `make test` do all the set-up themselves.
PYTHON ?= $(shell for v in 3 3.13 3.12 3.11; do p=$$(command -v python$$v) && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: install demo test check docs up clean lock

install: .venv/installed  ## environment and dependencies

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found: install one, or run make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into .venv with $(PYTHON) (about a minute) ..."
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && pwd > "$$site/bn_aura_pipelines.pth"
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m bn_aura_pipelines.cli "$$@"\n' > $(BIN)/bn-aura && chmod +x $(BIN)/bn-aura
	@touch $@

demo: install  ## the main job on the embedded database: sample clinic, whole graph, summary
	@$(BIN)/bn-aura demo

test: install  ## every test
	@$(BIN)/python -m pytest -q -n 2

check: install  ## lint, types, floors, SQL style, definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --processes 2 sql dbt_like_views
	@DAGSTER_HOME=$$(mktemp -d) $(BIN)/dagster definitions validate -w workspace.yaml --log-level warning

docs: install  ## docs/tables.md from the database's own comments, and the snapshots of the definitions and of the marts' columns
	@UPDATE_DOCS=1 $(BIN)/python -m pytest -q bn_aura_pipelines_tests/test_documentation.py -k page
	@UPDATE_DOCS=1 $(BIN)/python -m pytest -q bn_aura_pipelines_tests/orchestration/test_definitions.py -k snapshot
	@UPDATE_DOCS=1 $(BIN)/python -m pytest -q bn_aura_pipelines_tests/marts/test_public_schema.py -k promised

up: install  ## Dagster UI on :3000
	@$(BIN)/bn-aura up

lock:  ## re-resolve requirements.lock; needs uv
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras \
		--extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .bn_aura .pytest_cache .ruff_cache
