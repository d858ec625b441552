# make repro   the environment, then the whole pipeline
# make test    the environment if it is missing, then everything that checks the project
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help environment repro test soak bench lint page ui clean

VENV := .venv
BIN := $(VENV)/bin

# The first interpreter the pinned packages have wheels for; `make PYTHON=/path/to/python` overrides.
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then echo "$$python"; break; fi; done)
endif

# onnxruntime-gpu exists for Linux on x86-64 alone; `make RUNTIME=cpu` overrides.
ifeq ($(origin RUNTIME),undefined)
RUNTIME := $(shell if [ "$$(uname -s) $$(uname -m)" = "Linux x86_64" ] && \
	{ nvidia-smi -L >/dev/null 2>&1 || [ -r /proc/driver/nvidia/version ]; }; \
	then echo gpu; else echo cpu; fi)
endif

PAGE := src/depthmask/cli/page/ort
INSTALLED := $(VENV)/.installed-$(RUNTIME)
# Where a DVC remote is set, what another machine made is fetched instead of made again.
REPRO_FLAGS ?= $$($(BIN)/dvc remote default >/dev/null 2>&1 && echo --pull)
# the slowest file, a chain of its own, first
PYTEST_FLAGS ?= -n auto --dist loadfile --no-loadscope-reorder

help:
	@echo "make repro   render, augment, train, compare and export: the whole pipeline"
	@echo "             (make repro PROFILE=seed for another profile of params.yaml)"
	@echo "make test    lint the project and run its tests"
	@echo "make soak    kill the pipeline at 20 moments, fill its disk: it ends as it should"
	@echo "make bench   time training against the original's way"
	@echo "make ui      look at the experiments in MLflow (make ui PORT=5001 for another port)"
	@echo "make page    fetch onnxruntime-web with npm, for the page of \`depthmask demo\`"
	@echo "make clean   remove the environment and the caches of the tools; results stay"

environment: $(INSTALLED)

# An interrupted pip leaves packages that look installed, so an unfinished environment is made anew.
# The two onnxruntimes share their files: neither may stay when the other comes.
$(INSTALLED): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(SUITABLE)'; then \
		echo "depthmask needs Python 3.11 to 3.14: install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; \
		exit 2; fi
	@echo "Installing into $(VENV) for $(RUNTIME) (takes minutes, once)"
	@if [ -e $(VENV)/.installing ] || ! $(BIN)/python -c '$(SUITABLE)' 2>/dev/null; then \
		rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(VENV)/.installing
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv $(VENV)
	@for other in $(VENV)/.installed-*; do \
		if [ -e "$$other" ] && [ "$$other" != "$@" ]; then \
			$(BIN)/python -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu; fi; done
	@[ -t 1 ] || quiet=--quiet; set -x; \
	$(BIN)/python -m pip install $$quiet --disable-pip-version-check --no-input \
		--constraint constraints.txt --editable ".[pipeline,serve,video,test]"
ifeq ($(RUNTIME),gpu)
	$(BIN)/python -m pip uninstall --quiet --yes onnxruntime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --force-reinstall --no-deps \
		--constraint constraints.txt onnxruntime-gpu
endif
	@rm -f $(VENV)/.installed-* $(VENV)/.installing && touch $@

repro: $(INSTALLED)
	$(if $(PROFILE),$(BIN)/depthmask profile $(PROFILE))
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro $(REPRO_FLAGS)
	@$(BIN)/python -m depthmask.stages.report

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

# pytest comes last: its closing line closes the output. A process a core: threads would contend.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS)

# Kills the pipeline at 20 moments, fills its disk, kills its servers: about an hour.
soak: $(INSTALLED)
	SOAK_KILLS=20 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rA tests/test_soak.py

# Training against the original's way: docs/performance.md.
bench: $(INSTALLED)
	$(BIN)/python scripts/bench.py

# The part of onnxruntime-web that the page of `depthmask demo` needs, beside it.
page:
	rm -rf $(PAGE) && mkdir -p $(PAGE)
	cd $(PAGE) && npm pack --silent onnxruntime-web@1.30.0 && tar -xzf *.tgz --strip-components=2 \
		$(addprefix package/dist/ort,.wasm.min.mjs -wasm-simd-threaded.mjs -wasm-simd-threaded.wasm \
		.webgpu.min.mjs -wasm-simd-threaded.asyncify.mjs -wasm-simd-threaded.asyncify.wasm) \
		&& rm *.tgz

ui: $(INSTALLED)
	$(BIN)/python -m depthmask.tracking $(if $(PORT),--port $(PORT))

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
