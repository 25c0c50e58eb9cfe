# One word each; every one sets up what it needs. PYTHON picks the interpreter (>= 3.11).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run loop test quick plain lint bench notebooks docs stress setup system clean

run: $(READY) system          ## judge the example problems on this machine and write a report
	@echo "judging 14 problems on this machine, about 3300 program runs: usually about 1 min on 2 cores that have nothing else to do"
	$(BIN)/balancer run examples/quickstart.toml

loop: $(READY) system         ## rows of a data set, a scripted model proposing cases, three rounds, training data out
	$(BIN)/balancer run examples/loop.toml

test: $(READY) system lint    ## lint, types, import rules and the whole test-suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests

plain:                        ## a plain install, in an environment of its own: what it brings, and that it does what it promises
	$(PYTHON) -m venv --clear $(VENV)-plain
	$(VENV)-plain/bin/python -m pip install -q .
	$(VENV)-plain/bin/python tests/plain_install.py

# What most mistakes break, without what takes long: reports are drawn and generators tried by `make test`.
QUICK := tests/unit --ignore-glob='*/test_generators_*' --ignore-glob='*/test_report*' --ignore=tests/unit/test_failures.py \
	tests/contracts/test_architecture.py tests/contracts/test_imports.py tests/contracts/test_public.py \
	tests/contracts/test_reference.py

quick: $(READY) lint          ## before a commit: lint, types, import rules and 2000 quick tests, in less than a minute
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(QUICK)

lint: $(READY)                ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)               ## a lease beside queue.Queue, the simulator beside SimPy and Ciw, a run beside its bound, many rows through the loop
	$(BIN)/python -m tests.benchmarks.bench_pool $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_simulator $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_pipeline $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_old_design $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_rows $(BENCH)

notebooks: $(READY)           ## execute the notebooks again; NOTEBOOKS="--short --check" writes nothing
	$(BIN)/python notebooks/build.py $(NOTEBOOKS)

docs: $(READY)                ## the guides and a reference as a site, in site/; fails on a link that leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

stress: $(READY) system       ## the long randomised runs, in full
	BALANCER_STRESS=1 $(BIN)/python -m pytest tests/stress tests/integration/pipeline/test_disturbed_loop.py

setup: $(READY)

# Isolation of programs: bubblewrap if it can be had, else util-linux unshare is used. Never fails.
system:
	@command -v bwrap >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		{ apt-get install -y -qq bubblewrap || { apt-get update -qq && apt-get install -y -qq bubblewrap; }; } >/dev/null 2>&1; } || \
		echo "bubblewrap is not installed; programs run under unshare instead (balancer check says what works here)"

$(READY): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "needs Python >= 3.11 with venv: install it, or make PYTHON=/path/to/python3.x"; exit 1; }
	@echo "installing into $(VENV): balancer and about 135 packages, those of its tests and docs as well (1 GB), usually 30 s to 2 min"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

clean:                        ## remove what the other words made
	rm -rf $(VENV) $(VENV)-plain results site .hypothesis .mypy_cache .ruff_cache
