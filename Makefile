# `make help` lists the targets. Everything is set up in .venv on first use; nothing else on the machine is touched,
# except by `make test`, which installs Prometheus, Alertmanager and PostgreSQL when it runs as root on Debian.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_PROCESSES ?= 2
# Errors only: what goes on is said below in a line per step. Most of what is installed is never imported: compiling it
# all would take longer than the rest.
PIP_INSTALL := $(BIN)/python -m pip install -qq --progress-bar off --no-compile --disable-pip-version-check

CHECKED := monitor models tests dashboards $(wildcard benchmarks)

.DEFAULT_GOAL := help
.PHONY: help install run retrain test check bench stack clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## set up .venv (by itself before every other target)

run: $(READY) ## start the demo, or one's own daemon: make run CONFIG=folder [DEPLOYMENT=name]
	@exec $(if $(CONFIG)$(DEPLOYMENT),$(BIN)/monitor run $(DEPLOYMENT) $(if $(CONFIG),-c "$(CONFIG)"),$(BIN)/python -m monitor.demo)

retrain: $(READY) ## retrain now, also beside a running daemon: make retrain [DEPLOYMENT=name] [CONFIG=folder]
	@exec $(BIN)/monitor retrain $(DEPLOYMENT) $(if $(CONFIG),-c "$(CONFIG)")

test: $(READY) ## install the system programs that tests use, then check
	@tools/system-programs
	@$(MAKE) --no-print-directory check

check: $(READY) ## format, lint, types, import layers, tests
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_PROCESSES) --maxschedchunk=1 --durations=20

bench: $(READY) ## measure speed; results as a table and in benchmarks/results/
	$(BIN)/python -m benchmarks

stack: ## daemon, Prometheus, Alertmanager and Grafana in containers (needs Docker with compose)
	docker compose -f deploy/compose.yaml up --build

clean: ## remove caches and build files; .venv and var/ (history, models, demo data) stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find monitor models tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and pinned: left to itself pip resolves it to gigabytes of CUDA wheels.
$(READY): pyproject.toml constraints.txt
	@[ -x $(BIN)/pip ] || { python=$$(tools/find-python) && echo "Setting up $(VENV) (seconds)" && "$$python" -m venv $(VENV); }
	@echo "Installing PyTorch for the CPU (a minute or two, mostly the download)"
	@$(PIP_INSTALL) -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	@echo "Installing Driftloop and everything else it and its tests need (a minute or two)"
	@$(PIP_INSTALL) -c constraints.txt -e '.[test]'
	@touch $@
	@echo "Ready"
