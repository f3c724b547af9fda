#!/bin/sh
# Sees to what the C++ program is built from: a compiler, the headers of libpng and CLI11; with the
# word "tests", doctest too. Installs what is missing with apt-get where it can, else names the
# command.
set -u
headers="png.h CLI/CLI.hpp ${1:+doctest/doctest.h}"

compiler=${CXX:-c++}
missing() {
  for header in $headers; do
    echo "#include <$header>" | "$compiler" -x c++ -fsyntax-only - 2>/dev/null || echo "$header"
  done
}
[ -n "$(missing)" ] || exit 0

if command -v apt-get >/dev/null; then
  install='apt-get install -y g++ libpng-dev libcli11-dev doctest-dev'
  if [ "$(id -u)" = 0 ]; then root=''; else root='sudo -n '; fi
  if [ -z "$root" ] || sudo -n true 2>/dev/null; then
    echo "installing what the C++ program is built from: $root$install"
    ${root}apt-get update -qq && ${root}env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
    [ -n "$(missing)" ] || exit 0
  fi
  install="sudo apt-get update && sudo $install"
elif command -v dnf >/dev/null; then
  install='sudo dnf install gcc-c++ libpng-devel cli11-devel doctest-devel'
elif command -v pacman >/dev/null; then
  install='sudo pacman -S gcc libpng cli11 doctest'
elif command -v brew >/dev/null; then
  install='brew install libpng cli11 doctest'
else
  install="install a C++17 compiler, libpng, CLI11 and doctest with this system's package manager"
fi
echo "missing for the C++ program:" $(missing) >&2
echo "run: $install" >&2
exit 1
