# One word each; every one sets up what it needs. PYTHON picks the interpreter (>= 3.11).
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS ?= tests
# What needs servers and programs does not depend on the versions of packages, and takes most of the time.
LOWEST ?= tests/unit tests/properties tests/threads tests/integration/transports

.PHONY: run loop ray test more lowest quick dist platforms lint bench yield ablation lossy clients trainers notebooks docs stress soak mutants drawn pictures test-nogil setup system clean whatif standby

run: $(READY) system          ## judge the example problems on this machine and write a report
	@echo "judging 14 problems on this machine, about 3200 program runs: usually 1 to 2 min on 2 cores that have nothing else to do"
	$(BIN)/balancer run examples/quickstart.toml

loop: $(READY) system         ## rows of a data set, a scripted model proposing cases, three rounds, training data out
	$(BIN)/balancer run examples/loop.toml

ray: $(READY) $(VENV)/.ray system  ## one pool over Ray, on a cluster of this machine's own: its tests, which `make test` names as not run
	$(BIN)/python -m pytest -m "" tests/ray

test: $(READY) system lint    ## lint, types, import rules and the whole test-suite
	$(BIN)/python -m pytest -n 3 --dist loadgroup $(TESTS)

more: $(READY) system         ## the tests that take long, with the strategies, isolations and servers that `make test` leaves out
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m more $(TESTS)

dist:                         ## wheel and sdist, checked; each installed alone, where it does what a plain install promises
	rm -rf dist
	$(PYTHON) -m venv --clear $(VENV)-plain
	$(VENV)-plain/bin/python -m pip install -q build twine check-wheel-contents
	$(VENV)-plain/bin/python -m build -q --outdir dist .
	$(VENV)-plain/bin/twine check --strict dist/*
	$(VENV)-plain/bin/check-wheel-contents --ignore W009 dist/*.whl  # strategies and simulator are packages of their own
	for each in dist/*; do $(PYTHON) -m venv --clear $(VENV)-plain && $(VENV)-plain/bin/python -m pip install -q $$each && \
		$(VENV)-plain/bin/python -P tests/plain_install.py || exit 1; done  # without -P tests/ray would be Ray

platforms: $(READY)           ## the types, as macOS and Windows have Python's library
	$(BIN)/python -m tests.platforms

# What most mistakes break, without what takes long: reports are drawn and generators tried by `make test`.
QUICK := tests/unit --ignore-glob='*/test_generators_*' --ignore-glob='*/test_report*' --ignore=tests/unit/test_failures.py \
	tests/contracts/test_architecture.py tests/contracts/test_imports.py tests/contracts/test_public.py \
	tests/contracts/test_reference.py

quick: $(READY) lint          ## before a commit: lint, types, import rules and 2000 quick tests, in less than a minute
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(QUICK)

lint: $(READY)                ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPY_NUM_WORKERS=2 $(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)               ## what things cost and bear, each beside an alternative in the same run; BENCH=--short
	$(BIN)/python -m tests.benchmarks.bench_costs $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_pool $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_aio $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_transports $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_cluster $(BENCH)
	$(BIN)/python -m tests.benchmarks.plan_costs $(BENCH)
	$(BIN)/python -m tests.benchmarks.plan_shards $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_simulator $(BENCH)
	$(BIN)/python tests/benchmarks/show_coverage.py $(BENCH)
	$(BIN)/python -m tests.benchmarks.show_prediction $(BENCH)
	$(BIN)/python -m tests.benchmarks.show_next_run $(BENCH)
	$(BIN)/python -m tests.benchmarks.show_hidden $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_watched $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_pipeline $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_old_design $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_rows $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_run $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_overload $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_executors $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_server $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_compare $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_sandbox $(BENCH)
	$(BIN)/python -m tests.benchmarks.bench_liars $(BENCH)

yield: $(READY) system        ## what made-up inputs kill of what packages' own data kill, an hour or two; YIELD="--short", or folders
	$(BIN)/python -m tests.benchmarks.bench_yield $(YIELD)

ablation: $(READY)            ## what each rule, way and file of the generators adds to the kills, alone, last and left out, an hour or two; ABLATION="--short"
	$(BIN)/python -m tests.benchmarks.bench_ablation $(ABLATION)

lossy: $(READY)               ## three machines with a bad network (root, Linux), server and processes killed for ten minutes; LOSSY=--short: one
	$(BIN)/python -m tests.benchmarks.show_lossy $(LOSSY)

standby: $(READY)             ## two servers and a Valkey, the one that serves killed twenty times, stopped and cut off; ten minutes, STANDBY=--short: three, --etcd: with an etcd
	$(BIN)/python -m tests.benchmarks.show_standby $(STANDBY)

whatif: $(READY)              ## what-ifs of a real HAProxy and nginx, predicted and then really done, half an hour; WHATIF="--judge DIR"
	$(BIN)/python -m tests.benchmarks.show_whatif $(WHATIF)

clients: $(READY)             ## client libraries over a pool, each installed anew, five minutes; CLIENTS="--only anthropic"
	$(BIN)/python -m tests.benchmarks.show_clients $(CLIENTS)

trainers: $(READY)            ## trainers and evaluations over a judge, each installed anew (2 GB), five minutes; TRAINERS="--only SkyRL"
	$(BIN)/python -m tests.benchmarks.show_trainers $(TRAINERS)

notebooks: $(READY)           ## execute the notebooks again; NOTEBOOKS="--short --check" writes nothing
	$(BIN)/python notebooks/build.py $(NOTEBOOKS)

docs: $(READY)                ## the guides and a reference as a site, in site/; fails on a link that leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

stress: $(READY) system       ## the long randomised runs, in full
	BALANCER_STRESS=1 $(BIN)/python -m pytest -m "" tests/stress tests/threads/test_interleavings.py tests/tasks/test_task_mixed.py \
		tests/integration/pipeline/test_disturbed_loop.py \
		tests/simulation/test_theory.py \
		tests/properties/test_conformance.py::test_a_registered_strategy_keeps_the_contract \
		tests/unit/pipeline/test_generators_mutate.py::test_inputs_stay_within_their_room

soak: $(READY)                ## everything at once for an hour, and nothing given twice, lost or leaked; SOAK="--seconds 180", or --short
	$(BIN)/python -m tests.stress.soak $(SOAK)

mutants: $(READY)             ## each mistake of tests/mutants, and whether its test finds it; MUTANTS="--short", or names
	$(BIN)/python -m tests.mutants $(MUTANTS)

drawn: $(READY)               ## what share of 500 small changes of some rooms, drawn, do the tests find? DRAWN="60 --seed 7 --rooms core proxy"
	$(BIN)/python -m tests.mutants.drawn $(DRAWN)

pictures: $(READY)            ## every page in a browser, before and after its redesign, for docs/pictures.md; Chromium, half an hour
	$(BIN)/python -m tests.pictures docs results/pictures $(PICTURES)

test-nogil:                   ## threads and properties on a Python without its global lock, where one can be had
	@bash tests/nogil.sh $(VENV)-nogil

lowest: system                ## the tests with the lowest versions of all packages, on Python 3.11, in an environment of its own
	python3.11 -m venv --clear $(VENV)-lowest
	python3.11 tests/lowest.py > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pip install -q -e '.[dev]' -c $(VENV)-lowest/lowest.txt
	PYTHONWARNINGS=ignore::DeprecationWarning $(VENV)-lowest/bin/python -m pytest -n 3 --dist loadgroup \
		-W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning $(LOWEST) \
		--deselect tests/unit/test_cli.py::test_as_a_process_it_has_no_traceback_and_no_warning  # a new click warns an old typer

setup: $(READY)

# Isolation of programs: bubblewrap if it can be had, else util-linux unshare is used; libseccomp for its filter. Never fails.
system:
	@need=; command -v bwrap >/dev/null || need=bubblewrap; \
	PATH=$$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libseccomp\.so\.2' || need="$$need libseccomp2"; \
	[ -z "$$need" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		{ apt-get install -y -qq $$need || { apt-get update -qq && apt-get install -y -qq $$need; }; } >/dev/null 2>&1; } || \
		echo "not installed:$$need; programs run under weaker protection instead (balancer check says what works here)"

$(READY): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "needs Python >= 3.11 with venv: install it, or make PYTHON=/path/to/python3.x"; exit 1; }
	@echo "installing into $(VENV): balancer and about 150 packages, those of its tests and docs as well (1 GB), usually 30 s to 2 min"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

$(VENV)/.ray: $(READY)
	@echo "installing Ray into $(VENV): 75 MB to fetch, usually 20 s to 1 min"
	$(BIN)/python -m pip install -q -e '.[ray]'
	@touch $@

clean:                        ## remove what the other words made
	rm -rf $(VENV) $(VENV)-plain $(VENV)-nogil mutants results site .hypothesis .mypy_cache .ruff_cache
