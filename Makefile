# make demo   set up everything, train a few epochs, draw digits.png with the C++ program
# make test   set up everything, run every test, Python and C++
# make setup  only the set-up: .venv, C++ prerequisites
# make cpp    only the C++ program: tflite_cpp/build/release/jaxgan-generate
# make clean  remove what demo and test made; .venv and data/ stay

PYTHON ?= python3
EPOCHS ?= 5
RUN := checkpoints/demo
PROGRAM := tflite_cpp/build/release/jaxgan-generate

export PATH := $(CURDIR)/.venv/bin:$(PATH)
.DELETE_ON_ERROR:
.PHONY: demo test setup cpp clean

# $(call stage,name,command): run it and note its seconds for the summary.
define stage
@mkdir -p .stamps && start=$$(date +%s) && echo "== $(1)" && ( $(2) ) \
  && echo "$(1): $$(( $$(date +%s) - start )) s" >> .stamps/times
endef

demo:
	@mkdir -p .stamps && rm -f .stamps/times
	@$(MAKE) --no-print-directory digits.png
	@echo
	@echo "digits.png: 80 digits, drawn by $(PROGRAM)"
	@echo "generator.tflite: the generator; $(RUN)/: samples of each epoch, loss.png, checkpoints"
	@if [ -f .stamps/times ]; then echo "done now:"; sed 's/^/  /' .stamps/times; \
	  else echo "all was up to date"; fi
	@echo "next:"
	@echo "  $(PROGRAM) --seed 8 --label 3,1,4 --count 30 --out pi.png"
	@echo "  .venv/bin/python train.py --run-dir $(RUN) --epochs 30   # train on"
	@echo "  .venv/bin/python -m jaxgan.inspect $(RUN)"

test: .stamps/python .stamps/prerequisites
	ruff check .
	ruff format --check .
	cd tflite_cpp && cmake --preset release -DJAXGAN_TESTS=ON && cmake --build --preset release
	cd tflite_cpp && cmake --preset sanitize && cmake --build --preset sanitize
	cd tflite_cpp && ctest --preset release && ctest --preset sanitize
	python -m pytest

setup: .stamps/python .stamps/prerequisites

cpp: $(PROGRAM)

.stamps/python: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) is here;" \
	    "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(call stage,Python packages,$(PYTHON) -m venv .venv && \
	  python -m pip install --quiet --disable-pip-version-check -r requirements.txt)
	@touch $@

.stamps/prerequisites: tflite_cpp/prerequisites.sh
	$(call stage,C++ prerequisites,tflite_cpp/prerequisites.sh)
	@touch $@

.stamps/data: .stamps/python
	$(call stage,data,python -m jaxgan.data prepare mnist --data-dir data)
	@touch $@

.stamps/trained-$(EPOCHS): .stamps/data
	$(call stage,training,python train.py --run-dir $(RUN) --epochs $(EPOCHS))
	@touch $@

generator.tflite: .stamps/trained-$(EPOCHS) convert_tflite.py $(wildcard jaxgan/*.py)
	$(call stage,conversion,python convert_tflite.py --checkpoint $(RUN) --out $@)

$(PROGRAM): .stamps/python .stamps/prerequisites tflite_cpp/CMakeLists.txt \
  tflite_cpp/CMakePresets.json $(wildcard tflite_cpp/src/*)
	$(call stage,C++ build,cd tflite_cpp && cmake --preset release && cmake --build --preset release)
	@touch $@

digits.png: generator.tflite $(PROGRAM)
	$(call stage,drawing,$(PROGRAM) --model generator.tflite --seed 7 --count 80 --out $@)

clean:
	rm -rf tflite_cpp/build $(RUN) generator.tflite digits.png .stamps/trained-* .stamps/times
