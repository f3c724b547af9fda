#!/bin/sh
# Damaged files through the sanitized builds: scripts/fuzz.sh SECONDS [MODEL.tflite]
#   SECONDS  that libFuzzer has for each kind of files
#   MODEL    damaged beside the small ones of tflite_cpp/tests/fuzz/corpus
# What crashes, hangs, or loses memory is kept in tflite_cpp/build/findings.
set -eu
seconds=$1 model=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../tflite_cpp"
corpus=tests/fuzz/corpus findings=build/findings
mkdir -p $findings

mutants="build/sanitize/tests/fuzz/mutants --findings $findings"
$mutants --count 25000 $corpus/tflite/* ${model:+"$model"}
$mutants --count 5000 $corpus/npy/*
$mutants --count 5000 $corpus/png/*

# New inputs that reach new code are kept beside the build, for the next time.
export ASAN_OPTIONS=allocator_may_return_null=1
for kind in tflite npy png; do
  mkdir -p build/fuzz/$kind
  log=build/fuzz/$kind.log
  if ! build/fuzz/tests/fuzz/fuzz-$kind -max_total_time="$seconds" -max_len=65536 -timeout=10 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix=$findings/$kind- \
    build/fuzz/$kind $corpus/$kind 2>$log; then
    tail -40 $log >&2
    exit 1
  fi
  echo "libFuzzer, $kind: $(sed -n 's/^stat::number_of_executed_units: *//p' $log) runs, none amiss"
done
