# One word each; every one sets up what it needs. PYTHON picks the interpreter (>= 3.11).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
READY := $(VENV)/.ready
SYSTEM := $(VENV)/.system
TESTS ?= tests
# What needs servers and programs does not depend on the versions of packages, and takes most of the time.
LOWEST_TESTS ?= tests/unit tests/properties tests/threads tests/integration/transports --ignore-glob='*/test_generators_*'
LOWEST ?= python3.11

.PHONY: run loop ray test more quick lint bench notebooks docs stress mutants drawn dist

run: $(RUN) $(SYSTEM)         ## judge the example problems on this machine and write a report
	@echo "judging 14 problems on this machine, about 3200 program runs: usually 1 to 2 min on 2 cores that have nothing else to do"
	$(BIN)/balancer run examples/quickstart.toml

loop: $(READY) $(SYSTEM)      ## rows of a data set, a scripted model proposing cases, three rounds, training data out
	$(BIN)/balancer run examples/loop.toml

ray: $(READY) $(VENV)/.ray $(SYSTEM) ## one pool over Ray, on a cluster of this machine's own: its tests, which `make test` names as not run
	$(BIN)/python -m pytest -m "" tests/ray

test: $(READY) $(SYSTEM) lint ## lint, types, import rules and the whole test-suite
	$(BIN)/python -m pytest -n 3 --dist loadgroup $(TESTS)

more: $(READY) $(SYSTEM)      ## the tests that take long, with the strategies, isolations and servers that `make test` leaves out
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m more $(TESTS)

dist: $(READY) $(SYSTEM)      ## what is released: wheel and sdist, each installed alone; the lowest versions; the types of other systems
	rm -rf dist
	$(PYTHON) -m venv --clear $(VENV)-plain
	$(VENV)-plain/bin/python -m pip install -q build twine check-wheel-contents
	$(VENV)-plain/bin/python -m build -q --outdir dist .
	$(VENV)-plain/bin/twine check --strict dist/*
	$(VENV)-plain/bin/check-wheel-contents --ignore W009 dist/*.whl  # strategies and simulator are packages of their own
	for each in dist/*; do $(PYTHON) -m venv --clear $(VENV)-plain && $(VENV)-plain/bin/python -m pip install -q $$each && \
		$(VENV)-plain/bin/python -P tests/plain_install.py || exit 1; done  # without -P tests/ray would be Ray
	$(BIN)/python -m tests.platforms
	command -v $(LOWEST) >/dev/null || { echo "not run: the lowest versions, as there is no $(LOWEST)"; exit 0; }; \
	$(LOWEST) -m venv --clear $(VENV)-lowest && $(LOWEST) tests/lowest.py > $(VENV)-lowest/lowest.txt && \
	$(VENV)-lowest/bin/python -m pip install -q -e '.[dev]' -c $(VENV)-lowest/lowest.txt && \
	PYTHONWARNINGS=ignore::DeprecationWarning $(VENV)-lowest/bin/python -m pytest -n 3 --dist loadgroup \
		-W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning $(LOWEST_TESTS) \
		--deselect tests/unit/test_cli.py::test_as_a_process_it_has_no_traceback_and_no_warning  # a new click warns an old typer

# What most mistakes break, without what takes long: reports are drawn and generators tried by `make test`.
QUICK := tests/unit --ignore-glob='*/test_generators_*' --ignore-glob='*/test_report*' \
	tests/contracts/test_architecture.py tests/contracts/test_imports.py tests/contracts/test_public.py \
	tests/contracts/test_reference.py

quick: $(READY) lint          ## before a commit: lint, types, import rules and 2000 quick tests, in less than a minute
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(QUICK)

lint: $(READY)                ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPY_NUM_WORKERS=2 $(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) $(SYSTEM)     ## what things cost, each beside an alternative in the same run; BENCH=--short
	for each in pool aio transports executors sandbox cluster pipeline simulator yield; do \
		$(BIN)/python -m tests.benchmarks.bench_$$each $(BENCH) || exit 1; done

notebooks: $(READY)           ## execute the notebooks again; NOTEBOOKS="--short --check" writes nothing
	$(BIN)/python notebooks/build.py $(NOTEBOOKS)

docs: $(READY)                ## the guides and a reference as a site, in site/; fails on a link that leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

stress: $(READY) $(SYSTEM)    ## the long randomised runs in full, then everything at once for an hour; SOAK="--seconds 180", or --short
	BALANCER_STRESS=1 $(BIN)/python -m pytest -m "" tests/stress tests/threads/test_interleavings.py tests/tasks/test_task_mixed.py \
		tests/integration/pipeline/test_disturbed_loop.py \
		tests/simulation/test_theory.py \
		tests/properties/test_conformance.py::test_a_registered_strategy_keeps_the_contract \
		tests/unit/pipeline/test_generators_mutate.py::test_any_known_inputs_give_the_same_distinct_new_inputs_within_the_budget
	$(BIN)/python -m tests.stress.soak $(SOAK)

mutants: $(READY)             ## each mistake of tests/mutants, and whether its test finds it; MUTANTS="--short", or names
	$(BIN)/python -m tests.mutants $(MUTANTS)

drawn: $(READY)               ## what share of 500 small changes of some rooms, drawn, do the tests find? DRAWN="60 --seed 7 --rooms core proxy"
	$(BIN)/python -m tests.mutants.drawn $(DRAWN)

# Isolation of programs: bubblewrap if it can be had, else util-linux unshare is used; libseccomp for its filter. Never fails.
$(SYSTEM): $(RUN)
	@need=; command -v bwrap >/dev/null || need=bubblewrap; \
	PATH=$$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libseccomp\.so\.2' || need="$$need libseccomp2"; \
	if [ -z "$$need" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		{ apt-get install -y -qq $$need || { apt-get update -qq && apt-get install -y -qq $$need; }; } >/dev/null 2>&1; }; \
	then touch $@; \
	else echo "not installed:$$need; programs run under weaker protection instead (balancer check says what works here)"; fi

$(RUN): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "needs Python >= 3.11 with venv: install it, or make PYTHON=/path/to/python3.x"; exit 1; }
	@echo "installing into $(VENV): balancer and about 38 packages (230 MB), usually 10 s to 1 min"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[pipeline]'
	@touch $@

$(READY): $(RUN)
	@echo "installing into $(VENV): what tests, notebooks and docs need as well, about 150 packages (1 GB), usually 30 s to 2 min"
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

$(VENV)/.ray: $(READY)
	@echo "installing Ray into $(VENV): 75 MB to fetch, usually 20 s to 1 min"
	$(BIN)/python -m pip install -q -e '.[ray]'
	@touch $@
