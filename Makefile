# Two commands: `make demo` shows the main job, `make test` runs every check. Both make their own .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One more than there are cores: tests wait for browsers and for commands they start.
WORKERS = $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")

.PHONY: demo test results photos clean

# What nobody imports need not be compiled.
INSTALL = $(PYTHON) -m venv $(VENV) && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

$(VENV)/.installed: pyproject.toml
	$(INSTALL) -e .
	touch $@

$(VENV)/.tested: pyproject.toml
	$(INSTALL) -e '.[dev]'
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	@mkdir -p out
	$(BIN)/locstyle run examples/four-kinds.yaml -o out/demo.png --contact-sheet out/demo-sheet.png
	@echo "styled photo:   $(CURDIR)/out/demo.png"
	@echo "contact sheet:  $(CURDIR)/out/demo-sheet.png"

test: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@mkdir -p out
	$(BIN)/mypy >out/mypy.txt 2>&1 & types=$$!; \
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal; tests=$$?; \
	wait $$types; types=$$?; cat out/mypy.txt; exit $$((tests | types))

BASE := --method input --method recolour --method "img2img paste" --method "adain paste" \
	--method oracle --method redrawn --method "singlepass + lora"
READY := $(BASE) --method "diffstyler + lora" --method "magicstyle + reference" \
	--method "deadiff + qformer"
METHODS := $(READY) --method "vct + concept"

# The published benchmark: as edits draw by default, with the shipped styles; the same on three times
# as many scenes but for vct, which learns its words for minutes; and at half the side with styles
# learned for that. Four hours on two idle cores; goes on where it was stopped.
results: $(VENV)/.tested
	$(BIN)/locstyle bench quality -o out/bench --size 256 --shipped --no-leak --scenes 2 $(METHODS)
	$(BIN)/python scripts/publish_results.py out/bench
	$(BIN)/locstyle bench quality -o out/bench-24 --size 256 --shipped --no-leak --scenes 6 $(READY)
	$(BIN)/python scripts/publish_results.py out/bench-24 --as benchmark-results-24
	$(BIN)/locstyle bench quality -o out/bench-128 --size 128 --scenes 2 $(METHODS)
	$(BIN)/python scripts/publish_results.py out/bench-128 --as benchmark-results-128

# docs/real-photos.md; goes on where it was stopped.
photos: $(VENV)/.tested
	$(BIN)/python scripts/make_photos.py --out out/photos

clean:
	rm -rf $(VENV) out build dist *.egg-info
