#!/bin/sh
# Sees to what the C++ program is built from: a compiler, the headers of libpng and CLI11, and
# doctest for its tests. Installs what is missing with apt-get where it can, else names the command.
set -eu

missing=''
for header in png.h CLI/CLI.hpp doctest/doctest.h; do
  echo "#include <$header>" | ${CXX:-c++} -x c++ -fsyntax-only - 2>/dev/null || missing="$missing $header"
done
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null; then
  install='apt-get install -y libpng-dev libcli11-dev doctest-dev'
  command -v "${CXX:-c++}" >/dev/null || install="$install g++"
  if [ "$(id -u)" = 0 ]; then root=''
  elif sudo -n true 2>/dev/null; then root='sudo '
  else install="sudo apt-get update && sudo $install"; root='none'
  fi
  if [ "$root" != none ]; then
    echo "installing what the C++ program is built from: $root$install"
    ${root}apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $root$install -qq >/dev/null
    exit 0
  fi
elif command -v dnf >/dev/null; then install='sudo dnf install gcc-c++ libpng-devel cli11-devel doctest-devel'
elif command -v pacman >/dev/null; then install='sudo pacman -S gcc libpng cli11 doctest'
elif command -v brew >/dev/null; then install='brew install libpng cli11 doctest'
else install="install a C++17 compiler, libpng, CLI11 and doctest with this system's package manager"
fi
echo "missing for the C++ program:$missing" >&2
echo "run: $install" >&2
exit 1
