#!/bin/sh
# Builds the C++ program with classic TensorFlow Lite and holds it against the one with LiteRT,
# which is built already: scripts/test_tflite.sh [SUITE]
#   SUITE  of Debian that has the package, sid if not given; debootstrap makes one in
#          tflite_cpp/build/tflite/SUITE, 850 MB, kept for the next time
set -eu
cd "$(dirname "$0")/.."
suite=${1:-sid}
folder=$PWD/tflite_cpp/build/tflite
debian=$folder/$suite

root=''
if [ "$(id -u)" != 0 ]; then root='sudo -n'; fi
if ! $root true 2>/dev/null; then
  echo "debootstrap and chroot need root, or a sudo that asks for no password" >&2
  exit 1
fi
scripts/prerequisites.sh tflite

if [ ! -e "$debian/jaxgan" ]; then
  mkdir -p "$folder"
  $root rm -rf "$debian"  # half of one
  $root debootstrap --variant=minbase "$suite" "$debian"
  $root chroot "$debian" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends g++ cmake ninja-build libtensorflow-lite-dev libpng-dev libcli11-dev \
    doctest-dev >/dev/null
  $root mkdir "$debian/jaxgan"
fi
(cd tflite_cpp && $root cp -Rp CMakeLists.txt CMakePresets.json cmake include src tests \
  "$debian/jaxgan")
$root chroot "$debian" sh -euc 'cd /jaxgan
  cmake --preset release -DJAXGAN_RUNTIME=tflite -DJAXGAN_TESTS=ON
  cmake --build --preset release
  ctest --preset release
  cmake --preset sanitize -DJAXGAN_RUNTIME=tflite
  cmake --build --preset sanitize --target jaxgan-generate'

# Programs that run outside, with the loader and libraries of that Debian, so that tests need no
# root. Debian's library loses a byte when it is loaded.
echo leak:libtensorflow-lite > "$folder/leaks"
loader=$(ls "$debian"/usr/lib/*-linux-gnu*/ld-linux*.so.* | head -1)
for program in release/jaxgan-generate release/draw-floats sanitize/jaxgan-generate; do
  mkdir -p "$folder/$(dirname "$program")"
  cat > "$folder/$program" <<END
#!/bin/sh
export LSAN_OPTIONS="suppressions=$folder/leaks:print_suppressions=0"
exec "$loader" --library-path "$(dirname "$loader")" "$debian/jaxgan/build/$program" "\$@"
END
  chmod +x "$folder/$program"
done
python -m pytest tests/tflite_runtime.py
