# make demo   set up everything, train five epochs, draw digits.png with C++ (EPOCHS=30: longer)
# make test   set up everything, run every test, Python and C++
# make test-tflite  test the C++ program with classic TensorFlow Lite, in a Debian of its own (root)
# make soak   kill, damage and starve real training at length: half an hour, docs/reliability.md
# make fuzz   try 35,000 damaged files, then let libFuzzer make more (FUZZ_SECONDS=60 a kind; clang)
# make setup  only the set-up: .venv, C++ prerequisites, oneDNN for training on a CPU
# make native only oneDNN for training, tried again
# make cpp    only the C++ program: tflite_cpp/build/release/jaxgan-generate
# make dist   folders for Linux (x86-64, ARM), macOS and Windows: dist/ (MODEL=generator.tflite)
# make clean  remove what demo and test made; .venv and data/ stay

PYTHON ?= python3
EPOCHS ?= 5
MODEL ?= generator.tflite
FUZZ_SECONDS ?= 60
RUN := checkpoints/demo
PROGRAM := tflite_cpp/build/release/jaxgan-generate
TIMES := .demo-times

export PATH := $(CURDIR)/.venv/bin:$(PATH)
.DELETE_ON_ERROR:
.PHONY: help demo test test-tflite fuzz soak setup native cpp dist clean

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
	@echo "  .venv/bin/python -m jaxgan.inspect $(RUN)"

test: .venv/.installed jaxgan/native/build/.tried tflite_cpp/build/.test-prerequisites
	jaxgan/native/build.sh required
	ruff check .
	ruff format --check .
	cd tflite_cpp && cmake --preset release -DJAXGAN_TESTS=ON && cmake --build --preset release
	cd tflite_cpp && cmake --preset sanitize && cmake --build --preset sanitize
	cd tflite_cpp && ctest --preset release && ctest --preset sanitize
	python -m pytest --numprocesses 2 --dist worksteal

test-tflite: .venv/.installed tflite_cpp/build/.test-prerequisites
	cd tflite_cpp && cmake --preset release -DJAXGAN_TESTS=ON && cmake --build --preset release
	scripts/test_tflite.sh

soak: .venv/.installed jaxgan/native/build/.tried
	PYTHONPATH=. python tests/soak.py

# 25,000 of models, 5,000 of arrays, 5,000 of pictures: the same each time. A generator.tflite that
# lies here is damaged, too.
fuzz: .venv/.installed tflite_cpp/build/.test-prerequisites
	scripts/prerequisites.sh fuzz
	cd tflite_cpp && cmake --preset sanitize && cmake --build --preset sanitize --target mutants
	cd tflite_cpp && cmake --preset fuzz && cmake --build --preset fuzz
	scripts/fuzz.sh $(FUZZ_SECONDS) $(wildcard generator.tflite)

setup: .venv/.installed jaxgan/native/build/.tried tflite_cpp/build/.prerequisites

native:
	@rm -f jaxgan/native/build/.tried
	@$(MAKE) --no-print-directory jaxgan/native/build/.tried

cpp: $(PROGRAM)

# An emulator that cannot be had is no fault: what was only linked is marked so.
# A model that is there is taken as it is, though it be older than the demo's.
dist: .venv/.installed $(if $(wildcard $(MODEL)),,$(MODEL))
	@scripts/prerequisites.sh dist || true
	python -m scripts.dist --model $(MODEL)

.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) is here;" \
	    "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(call stage,Python packages,$(PYTHON) -m venv .venv && \
	  python -m pip install --quiet --disable-pip-version-check -r requirements.txt)
	@touch $@

jaxgan/native/build/.tried: .venv/.installed scripts/prerequisites.sh $(wildcard jaxgan/native/*.*)
	$(call stage,oneDNN,jaxgan/native/build.sh)
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

data/.prepared-mnist: .venv/.installed
	$(call stage,data,python -m jaxgan.data prepare mnist --data-dir data)
	@touch $@

$(RUN)/.trained-$(EPOCHS): data/.prepared-mnist jaxgan/native/build/.tried
	$(call stage,training,python train.py --run-dir $(RUN) --epochs $(EPOCHS) \
	  --checkpoint-every 1)
	@touch $@

generator.tflite: $(RUN)/.trained-$(EPOCHS) convert_tflite.py $(wildcard jaxgan/*.py)
	$(call stage,conversion,python convert_tflite.py --checkpoint $(RUN) --out $@)

$(PROGRAM): .venv/.installed tflite_cpp/build/.prerequisites tflite_cpp/CMakeLists.txt \
  tflite_cpp/CMakePresets.json \
  $(wildcard tflite_cpp/src/* tflite_cpp/include/jaxgan/* tflite_cpp/cmake/*)
	$(call stage,C++ build,cd tflite_cpp && cmake --preset release && cmake --build --preset release)
	@touch $@

digits.png: generator.tflite $(PROGRAM)
	$(call stage,drawing,$(PROGRAM) --model generator.tflite --seed 7 --count 80 --out $@)

clean:
	rm -rf tflite_cpp/build jaxgan/native/build $(RUN) generator.tflite generator.json digits.png $(TIMES)
