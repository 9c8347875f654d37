#!/bin/sh
# Runs what `task gpu-build` built, on a machine with an NVIDIA card; Go is not needed. It lies in bin/gpu of
# a checkout, since tests read files beside their sources:
#
#   tar -xzf bin/gpu.tar.gz && sh bin/gpu/run [PATTERN]
#
# PATTERN chooses tests by name, as -test.run does. The end counts them; the status is 1 where one
# failed, none ran, or there is no card. Each test's output is in bin/gpu/*.log.
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
: >bin/gpu/results
while read -r program folder pattern; do
  log=$root/bin/gpu/${program%.test}.log
  echo "== $folder"
  (cd "$folder" && "$root/bin/gpu/$program" -test.run "${1:-$pattern}" -test.v -test.timeout 20m >"$log" 2>&1)
  status=$?
  grep -E '^ *--- (PASS|FAIL|SKIP)' "$log" >>bin/gpu/results
  # The lines before say why.
  grep -E -B1 '^ *--- SKIP' "$log"
  grep -E -B12 '^ *--- FAIL' "$log"
  if [ $status -ne 0 ] && ! grep -q -E '^ *--- FAIL' "$log"; then
    echo "--- FAIL: $program ended with status $status"
    echo "--- FAIL: $program" >>bin/gpu/results
    tail -n 20 "$log"
  fi
done <bin/gpu/list
count() { grep -c -E "^ *--- $1" bin/gpu/results; }
echo "$(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped"
if grep -q -E '^--- SKIP: TestTheCardComplies ' bin/gpu/results; then
  echo "no card can be used here: what needs one was left out"
  exit 1
fi
[ "$(count FAIL)" -eq 0 ] && [ "$(count PASS)" -gt 0 ]
