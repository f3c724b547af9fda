#!/bin/sh
# Builds the oneDNN convolutions: build.sh [required]
# Without oneDNN it says so, and all goes on without; but where oneDNN is there, our code must build.
#   JAXGAN_NATIVE_PYTHON  the Python whose JAX is built for; python3 if not set
#   JAXGAN_NATIVE_BUILD   the build folder; beside this file if not set
set -u
required=${1:-}
cd "$(dirname "$0")" || exit 1
python=${JAXGAN_NATIVE_PYTHON:-python3} build=${JAXGAN_NATIVE_BUILD:-$PWD/build}
without() {
  echo "no oneDNN ($1): training on a CPU takes about one and a half times as long"
  rm -rf "$build/library"
  if [ "$required" = required ]; then exit 1; fi
  exit 0
}
# Elsewhere, oneDNN as packaged runs plain loops: slower than XLA.
[ "$(uname -m)" = x86_64 ] || { required=''; without 'it is fast on x86-64 processors only'; }
prerequisites=../../../scripts/prerequisites.sh  # in a checkout
if [ -x "$prerequisites" ]; then
  "$prerequisites" native || { required=''; without "its headers are missing, see above"; }
elif ! echo '#include <dnnl.hpp>' | "${CXX:-c++}" -x c++ -fsyntax-only - 2>/dev/null; then
  required=''
  without "its headers are missing; on Debian and Ubuntu: sudo apt-get install g++ libdnnl-dev"
fi
command -v cmake >/dev/null || without 'cmake is missing; run: pip install cmake'
if command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
mkdir -p "$build" || exit 5
if ! { cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DJAX_PYTHON="$python" &&
  cmake --build "$build"; } >"$build/log.txt" 2>&1; then
  cat "$build/log.txt" >&2
  without "the build failed, see above; 'jaxgan native' tries again"
fi
echo "oneDNN convolutions: $build/library"
