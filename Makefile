# One command each, on a fresh machine too: what is missing is installed into .venv, what is there is used.
#
#   make demo         a real OpenBao, a practice provider and the daemon, in the terminal, for a minute
#   make test         every test but the two below
#   make test-fast    the tests that start no server: seconds
#   make test-host    the tests that need root or Debian packages, which it installs
#   make test-nightly the long ones
#   make bench        the benchmarks, side by side, and the targets beside what was measured: about 20 minutes
#   make packages     the .deb, the .rpm and their SBOM (CycloneDX), in dist/
#   make check        ruff, mypy, import-linter, the documentation's links; known vulnerabilities, where somebody knows
#   make docs         the documentation as a site, in build/site
#   make constraints  take the newest versions that pyproject.toml allows
#   make lock         the hashes of what the packages ship, at the versions of constraints.txt, and of what builds them
#   make clean        back to a fresh clone
#
# PYTHON names the interpreter to use; PYTEST_ARGS goes to pytest.

PYTHON ?= python3 python3.13 python3.12 python3.11
PYTEST_ARGS ?=
# Debian packages that the tests marked `host` need.
HOST_PACKAGES := binutils chromium chromium-driver faketime fish iproute2 lintian man-db prometheus rpm systemd zsh
# And those that a tree of another Debian is made with.
NIGHTLY_PACKAGES := debootstrap $(HOST_PACKAGES)
# What is installed does not start as a service: policy-rc.d(8) says no, unless there is one that decides.
POLICY := /usr/sbin/policy-rc.d

VENV := .venv
PY := $(VENV)/bin/python
# Twice quiet: pip then says nothing but errors, whatever warnings the settings of the machine cause.
PIP_INSTALL = $(PY) -m pip install -qq --disable-pip-version-check --constraint constraints.txt
PYTEST = $(PY) -m pytest $(PYTEST_ARGS)
# Root alone can; others go on with what is there.
INSTALL_PACKAGES = { [ "$$(id -u)" != 0 ] || ( [ -e $(POLICY) ] || { trap 'rm -f $(POLICY)' EXIT; \
    printf '\#!/bin/sh\nexit 101\n' >$(POLICY); chmod 755 $(POLICY); }; apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq --yes $(1) ); }
# What the benchmarks compare with; what is missing is left out, and said so.
BENCH_PACKAGES := curl jq wrk
# Whole files are shared out to four processes: tests with servers wait most of the time.
SHARED_OUT = -n 4 --dist loadfile --no-loadscope-reorder
MODULES := tests/servers/node_modules/.package-lock.json
HOST_LOG := $(VENV)/host-tests.log

.PHONY: demo docs picture picture-of-page packages bench test test-fast test-host test-nightly check constraints lock clean
.DELETE_ON_ERROR:

# No file but the virtual environment is left: so no byte code beside the sources.
demo: $(VENV)/.demo
	@PYTHONDONTWRITEBYTECODE=1 exec $(VENV)/bin/refresher demo

test: $(VENV)/.test $(MODULES)
	$(PYTEST) $(SHARED_OUT) -m "not host and not nightly"

test-fast: $(VENV)/.test
	$(PYTEST) -m "not e2e and not host and not nightly"

test-nightly: $(VENV)/.test $(MODULES)
	@$(call INSTALL_PACKAGES,$(NIGHTLY_PACKAGES))
	$(PYTEST) -m nightly

# pytest's 5 means that nothing was collected: said as it is, and counted as nothing.
test-host: $(VENV)/.test $(MODULES)
	@$(PY) -m pytest -m "host and not nightly" --collect-only -q >$(HOST_LOG) 2>&1; code=$$?; \
	case $$code in \
	0) ;; \
	5) echo "make test-host: no host test yet, nothing was run"; exit 0 ;; \
	*) cat $(HOST_LOG); exit $$code ;; \
	esac; \
	$(call INSTALL_PACKAGES,$(HOST_PACKAGES)) && \
	$(PYTEST) -m "host and not nightly"

picture: $(VENV)/.demo
	$(PY) -m docs.picture

packages: $(VENV)/.test
	$(PY) -m packages.build

bench: $(VENV)/.test
	@$(call INSTALL_PACKAGES,$(BENCH_PACKAGES))
	$(PY) -m bench all page

# The status page, by Debian's Chromium: make test-host installs it.
picture-of-page: $(VENV)/.test
	$(PY) -m docs.page

check: $(VENV)/.test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m packages.audit
	$(PY) -m docs.site

docs: $(VENV)/.test
	$(PY) -m docs.site

$(PY):
	@for python in $(PYTHON); do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "$(VENV): $$($$python --version)"; \
	        exec $$python -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "No Python 3.11 or newer with venv among: $(PYTHON)" >&2; \
	echo "Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(VENV)/.demo: pyproject.toml constraints.txt | $(PY)
	$(PIP_INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(PY)
	$(PIP_INSTALL) --editable '.[audit,cluster,demo,docs,package,test]'
	@touch $@ $(VENV)/.demo

# Node.js is the machine's or, without one, the wheel's: tests/servers/node.py finds it.
$(MODULES): tests/servers/package.json tests/servers/package-lock.json tests/servers/.npmrc | $(VENV)/.test
	$(PY) -m tests.servers.node
	@touch $@

constraints: | $(PY)
	rm -rf $(VENV)/newest
	$(PY) -m venv $(VENV)/newest
	$(VENV)/newest/bin/python -m pip install --quiet --disable-pip-version-check '.[audit,cluster,demo,docs,package,test]'
	echo "# The versions that were tested together: make constraints" >constraints.txt
	$(VENV)/newest/bin/python -m pip freeze --exclude refresher >>constraints.txt
	rm -rf $(VENV)/newest
	$(MAKE) lock

# uv knows the hashes of all files of a release, for every Python and processor, not only of those that fit here.
lock: | $(PY)
	$(PY) -m venv $(VENV)/locker
	$(VENV)/locker/bin/python -m pip install -qq --disable-pip-version-check uv
	{ echo "# What the packages ship, and the hashes of its files: make lock"; \
	    $(VENV)/locker/bin/uv pip compile -q --generate-hashes --no-header --universal --python-version 3.11 \
	        --constraint constraints.txt pyproject.toml; } >requirements.lock.new
	mv requirements.lock.new requirements.lock
	$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	    >$(VENV)/locker/build.in
	{ echo "# What builds refresher's wheel, and the hashes of its files: make lock"; \
	    $(VENV)/locker/bin/uv pip compile -q --generate-hashes --no-header --no-annotate --python-platform linux \
	        --python-version 3.11 $(VENV)/locker/build.in; } >requirements-build.lock.new
	mv requirements-build.lock.new requirements-build.lock
	rm -rf $(VENV)/locker

clean:
	rm -rf $(VENV) tests/servers/node_modules build dist .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
