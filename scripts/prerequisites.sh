#!/bin/sh
# Sees to what C++ here is built from: scripts/prerequisites.sh program|tests|fuzz|native|tflite|dist
#   program  a compiler, the headers of libpng and CLI11: the C++ program
#   tests    doctest, pkg-config and faketime besides: tests in C++, of the library, of clocks
#   fuzz     clang, whose libFuzzer makes damaged files: make fuzz
#   native   a compiler, the headers of oneDNN: fast training on a CPU
#   tflite   debootstrap: the tests with classic TensorFlow Lite
#   dist     what unpacks Debian's sources, and runs programs of ARM and Windows: make dist
# Installs what is missing with apt-get where it can, else names the command.
set -u
purpose=$1 commands='' files=''
case $purpose in
  program) headers='png.h CLI/CLI.hpp' need='the C++ program' ;;
  tests) headers='png.h CLI/CLI.hpp doctest/doctest.h' need="the C++ program's tests"
    commands='pkg-config faketime' ;;
  fuzz) headers='' commands=clang++ need='fuzz tests' ;;
  native) headers='dnnl.hpp' need='fast training' ;;
  tflite) headers='' commands=debootstrap need='the tests with TensorFlow Lite' ;;
  dist) headers='' need='building for other machines'
    files='/usr/bin/dpkg-source /usr/bin/qemu-aarch64-static /usr/lib/wine/wine64
      /usr/aarch64-linux-gnu/lib/libstdc++.so.6' ;;
esac

compiler=${CXX:-c++}
missing() {
  for header in $headers; do
    echo "#include <$header>" | "$compiler" -x c++ -fsyntax-only - 2>/dev/null || echo "$header"
  done
  for command in $commands; do command -v "$command" >/dev/null || echo "$command"; done
  for file in $files; do
    [ -e "$file" ] || echo "$file"
  done
}
[ -n "$(missing)" ] || exit 0

# $1: the packages of the program, $2: of its tests besides, $3: of oneDNN; a compiler first.
packages() {
  case $purpose in
    program) echo "$1" ;;
    tests) echo "$1 $2" ;;
    native) echo "${1%% *} $3" ;;
    tflite) echo "$commands" ;;
    fuzz) echo clang ;;
    dist) echo "--no-install-recommends dpkg-dev qemu-user-static libstdc++6-arm64-cross wine64" ;;
  esac
}

if [ "$purpose" = dist ] && ! command -v apt-get >/dev/null; then
  echo "missing for $need: apt-get; expected Debian or Ubuntu" >&2
  exit 1
elif command -v apt-get >/dev/null; then
  install="apt-get install -y $(packages 'g++ libpng-dev libcli11-dev' \
    'doctest-dev pkg-config faketime' libdnnl-dev)"
  if [ "$(id -u)" = 0 ]; then root=''; else root='sudo -n '; fi
  if [ -z "$root" ] || sudo -n true 2>/dev/null; then
    echo "installing for $need: $root$install"
    ${root}apt-get update -qq && ${root}env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
    [ -n "$(missing)" ] || exit 0
  fi
  install="sudo apt-get update && sudo $install"
elif command -v dnf >/dev/null; then
  install="sudo dnf install $(packages 'gcc-c++ libpng-devel cli11-devel' \
    'doctest-devel pkgconf-pkg-config libfaketime' onednn-devel)"
elif command -v pacman >/dev/null; then
  install="sudo pacman -S $(packages 'gcc libpng cli11' 'doctest pkgconf libfaketime' onednn)"
elif command -v brew >/dev/null; then
  install="brew install $(packages 'gcc libpng cli11' 'doctest pkgconf libfaketime' onednn)"
else
  install="install a C++17 compiler and what is named above with this system's package manager"
fi
echo "missing for $need:" $(missing) >&2
echo "run: $install" >&2
exit 1
