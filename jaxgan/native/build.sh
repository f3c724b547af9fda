#!/bin/sh
# Builds jaxgan/native for the active Python. Without oneDNN it says so, and all goes on without;
# but where oneDNN is there, our code must build.
set -u
cd "$(dirname "$0")"
without() {
  echo "no oneDNN ($1): training on a CPU takes about one and a half times as long"
  rm -rf build/library
  exit 0
}
# Elsewhere, oneDNN as packaged runs plain loops: slower than XLA.
[ "$(uname -m)" = x86_64 ] || without 'it is fast on x86-64 processors only'
../../scripts/prerequisites.sh native ||
  without "its headers are missing, see above; 'make native' tries again"
mkdir -p build
if ! { cmake -G Ninja -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build; } \
  >build/log.txt 2>&1; then
  cat build/log.txt >&2
  [ "${1:-}" != required ] || exit 1
  without "the build failed, see above; 'make native' tries again"
fi
