#!/bin/sh
# Builds the tests that need an NVIDIA card: into bin/gpu a program for each package, the list of them and
# the script that runs them, and all of it into bin/gpu.tar.gz, for a machine without Go. These are the
# packages whose tests import the cuda device.
set -eu
cd "$(dirname "$0")/../.."
rm -rf bin/gpu bin/gpu.tar.gz
mkdir -p bin/gpu
device=triality/runtime/device/cuda
go list -f '{{$name := .ImportPath}}{{range .TestImports}}{{.}} {{$name}}
{{end}}{{range .XTestImports}}{{.}} {{$name}}
{{end}}' ./... | awk -v device=$device '$1 == device && !seen[$2]++ { print $2 }' | while read -r package; do
  folder=${package#triality/}
  program=$(echo "$folder" | tr / -).test
  # Elsewhere a test that needs the card has CUDA in its name.
  case $package in
  "$device") pattern=. ;;
  *) pattern=CUDA ;;
  esac
  echo "$package"
  CGO_ENABLED=0 go test -c -trimpath -ldflags '-s -w' -o "bin/gpu/$program" "$package"
  echo "$program $folder $pattern" >>bin/gpu/list
done
cp tools/gpu/run.sh bin/gpu/run
tar -czf bin/gpu.tar.gz bin/gpu
ls -l bin/gpu.tar.gz
