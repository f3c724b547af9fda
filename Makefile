# make demo   set up everything, train five epochs, draw digits.png with C++ (EPOCHS=30: longer)
# make demo-images  the same with a folder of pictures, emoji: emoji.png (MINUTES=60: trains longer)
# make test   set up everything, run every test, Python and C++
# make test-fast  only tests that start no program, load no TensorFlow and build nothing: a minute
# make test-tflite  test the C++ program with classic TensorFlow Lite, in a Debian of its own (root)
# make soak   kill, damage and starve real training at length: half an hour, docs/reliability.md
# make fuzz   try 35,000 damaged files, then let libFuzzer make more (FUZZ_SECONDS=60 a kind; clang)
# make setup  only the set-up: .venv with the command jaxgan, the C++ library, oneDNN for a CPU
# make native only oneDNN for training, tried again
# make library only the C++ library that Python draws with: tflite_cpp/build/release/libjaxgan.so
# make cpp    only the C++ program: tflite_cpp/build/release/jaxgan-generate
# make dist   folders and wheels for Linux (x86-64, ARM), macOS, Windows: dist/ (MODEL=generator.tflite)
# make clean  remove what demo and test made; .venv and data/ stay

PYTHON ?= python3
EPOCHS ?= 5
MODEL ?= generator.tflite
FUZZ_SECONDS ?= 60
MINUTES ?= 10
RUN := checkpoints/demo
EMOJI := checkpoints/emoji
RELEASE := tflite_cpp/build/release
PROGRAM := $(RELEASE)/jaxgan-generate
LIBRARY := $(RELEASE)/libjaxgan.$(if $(filter Darwin,$(shell uname -s)),dylib,so)
NATIVE := jaxgan/gan/native
CPP_SOURCES := tflite_cpp/CMakeLists.txt tflite_cpp/CMakePresets.json \
  $(wildcard tflite_cpp/src/* tflite_cpp/include/jaxgan/* tflite_cpp/cmake/*)
TIMES := .demo-times

export PATH := $(CURDIR)/.venv/bin:$(PATH)
.DELETE_ON_ERROR:
.PHONY: help demo demo-images test test-fast test-tflite fuzz soak setup native library cpp dist clean

help:
	@sed -n 's/^# make /make /p' Makefile

# $(call stage,name,command): run it and note its seconds for the summary.
define stage
@start=$$(date +%s) && echo "== $(1)" && ( $(2) ) \
  && echo "$(1): $$(( $$(date +%s) - start )) s" >> $(TIMES)
endef

demo:
	@rm -f $(TIMES)
	@$(MAKE) --no-print-directory digits.png
	@echo
	@echo "digits.png: 80 digits, drawn by $(PROGRAM)"
	@echo "generator.tflite: the generator, converted from the run's newest checkpoint"
	@echo "$(RUN)/: the run: samples of each epoch, loss.png, metrics, checkpoints"
	@echo "data/, .venv/, tflite_cpp/build/: the dataset, the Python packages, the C++ build"
	@if [ -f $(TIMES) ]; then echo "done now:"; sed 's/^/  /' $(TIMES); \
	  else echo "all was up to date"; fi
	@echo "next:"
	@echo "  $(PROGRAM) --seed 8 --label 3,1,4 --count 30 --out pi.png"
	@echo "  make demo EPOCHS=30                                      # train on, draw again"
	@echo "  .venv/bin/jaxgan inspect $(RUN)"

demo-images:
	@rm -f $(TIMES)
	@$(MAKE) --no-print-directory emoji.png
	@echo
	@echo "emoji.png: 64 emoji with transparency, drawn by $(PROGRAM)"
	@echo "emoji.tflite: the generator; data/emoji/preview.png: what it was trained on"
	@echo "$(EMOJI)/: the run: samples of each epoch, loss.png, metrics, checkpoints"
	@if [ -f $(TIMES) ]; then echo "done now:"; sed 's/^/  /' $(TIMES); \
	  else echo "all was up to date"; fi
	@echo "next: your own folder:"
	@echo "  .venv/bin/python train.py --images FOLDER --size 64 --minutes 30"
	@echo "  make demo-images MINUTES=60                              # train on, draw again"

test: .venv/bin/jaxgan $(NATIVE)/build/.tried tflite_cpp/build/.test-prerequisites
	$(NATIVE)/build.sh required
	ruff check .
	ruff format --check .
	mypy
	cd tflite_cpp && cmake --preset release -DJAXGAN_TESTS=ON && cmake --build --preset release
	cd tflite_cpp && cmake --preset sanitize && cmake --build --preset sanitize
	cd tflite_cpp && ctest --preset release && ctest --preset sanitize
	python -m pytest --numprocesses 2 --dist worksteal

test-fast: .venv/bin/jaxgan $(LIBRARY)
	python -m pytest -m "not slow" -q --numprocesses 2

test-tflite: .venv/bin/jaxgan tflite_cpp/build/.test-prerequisites
	cd tflite_cpp && cmake --preset release -DJAXGAN_TESTS=ON && cmake --build --preset release
	scripts/test_tflite.sh

soak: .venv/bin/jaxgan $(NATIVE)/build/.tried $(LIBRARY)
	PYTHONPATH=. python tests/soak.py

# 25,000 of models, 5,000 of arrays, 5,000 of pictures: the same each time. A generator.tflite that
# lies here is damaged, too.
fuzz: .venv/bin/jaxgan tflite_cpp/build/.test-prerequisites
	scripts/prerequisites.sh fuzz
	cd tflite_cpp && cmake --preset sanitize && cmake --build --preset sanitize --target mutants
	cd tflite_cpp && cmake --preset fuzz && cmake --build --preset fuzz
	scripts/fuzz.sh $(FUZZ_SECONDS) $(wildcard generator.tflite)

setup: .venv/bin/jaxgan $(NATIVE)/build/.tried $(LIBRARY)

native: .venv/bin/jaxgan
	@rm -f $(NATIVE)/build/.tried
	@$(MAKE) --no-print-directory $(NATIVE)/build/.tried

library: $(LIBRARY)

cpp: $(PROGRAM)

# An emulator that cannot be had is no fault: what was only linked is marked so.
# A model that is there is taken as it is, though it be older than the demo's.
dist: .venv/bin/jaxgan $(LIBRARY) $(if $(wildcard $(MODEL)),,$(MODEL))
	@scripts/prerequisites.sh dist || true
	python -m scripts.dist --model $(MODEL)

.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed, $$($(PYTHON) --version) is here;" \
	    "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(call stage,Python packages,$(PYTHON) -m venv .venv && \
	  python -m pip install --quiet --disable-pip-version-check -r requirements.txt)
	@touch $@

.venv/bin/jaxgan: .venv/.installed scripts/link.py
	@python scripts/link.py

$(NATIVE)/build/.tried: .venv/.installed scripts/prerequisites.sh $(wildcard $(NATIVE)/*.*)
	$(call stage,oneDNN,$(NATIVE)/build.sh)
	@mkdir -p $(@D)
	@touch $@

tflite_cpp/build/.prerequisites: scripts/prerequisites.sh
	$(call stage,C++ prerequisites,scripts/prerequisites.sh program)
	@mkdir -p $(@D)
	@touch $@

tflite_cpp/build/.test-prerequisites: scripts/prerequisites.sh
	$(call stage,C++ prerequisites,scripts/prerequisites.sh tests)
	@mkdir -p $(@D)
	@touch $@

# What is trained and converted depends on the data and on the run, not on this package's files: a
# finished run is not trained again, nor a model converted again, because a file was edited here.
# What they need besides stands behind the |: it must be there, whatever its age.
data/.prepared-mnist: | .venv/bin/jaxgan
	$(call stage,data,jaxgan data prepare mnist --data-dir data)
	@touch $@

$(RUN)/.trained-$(EPOCHS): data/.prepared-mnist | $(NATIVE)/build/.tried
	$(call stage,training,python train.py --run-dir $(RUN) --epochs $(EPOCHS) \
	  --checkpoint-every 1 --no-convert)
	@touch $@

# metrics.jsonl changes whenever the run is trained on, be it by hand.
generator.tflite: $(RUN)/.trained-$(EPOCHS) $(wildcard $(RUN)/metrics.jsonl) | $(LIBRARY)
	$(call stage,conversion,python convert_tflite.py --checkpoint $(RUN) --out $@)

# One build folder holds both; the program is built after the library and reuses what that compiled.
$(LIBRARY): .venv/.installed tflite_cpp/build/.prerequisites $(CPP_SOURCES)
	$(call stage,C++ library,cd tflite_cpp && cmake --preset release && \
	  cmake --build --preset release --target jaxgan)
	@touch $@

$(PROGRAM): $(LIBRARY)
	$(call stage,C++ program,cd tflite_cpp && cmake --build --preset release)
	@touch $@

digits.png: generator.tflite $(PROGRAM)
	$(call stage,drawing,$(PROGRAM) --model generator.tflite --seed 7 --count 80 --out $@)

# One emoji in several tones of skin is held out as a whole: 1f44b-1f3fd together with 1f44b.
data/emoji-pictures/.fetched: scripts/emoji.sh
	$(call stage,pictures,scripts/emoji.sh data/emoji-pictures)
	@touch $@

data/emoji/store.json: data/emoji-pictures/.fetched | .venv/bin/jaxgan
	$(call stage,import,jaxgan data import data/emoji-pictures --name emoji --size 64 \
	  --alpha keep --group-by '^([^.]*?)(?:-1f3f[b-f])?((?:-[^.]*)?)[.]')
	@touch $@

$(EMOJI)/.trained-$(MINUTES): data/emoji/store.json | $(NATIVE)/build/.tried
	$(call stage,training,python train.py --dataset emoji --run-dir $(EMOJI) \
	  --minutes $(MINUTES) --no-convert)
	@touch $@

emoji.tflite: $(EMOJI)/.trained-$(MINUTES) $(wildcard $(EMOJI)/metrics.jsonl) | $(LIBRARY)
	$(call stage,conversion,python convert_tflite.py --checkpoint $(EMOJI) --out $@)

emoji.png: emoji.tflite $(PROGRAM)
	$(call stage,drawing,$(PROGRAM) --model emoji.tflite --seed 7 --count 64 --columns 16 --out $@)

clean:
	rm -rf tflite_cpp/build $(NATIVE)/build $(RUN) generator.tflite generator.json digits.png \
	  $(EMOJI) emoji.tflite emoji.json emoji.png $(TIMES)
