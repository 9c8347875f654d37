#!/bin/sh
# tools/mutate.sh [PACKAGE…]: changes each package's code in small ways, one at a time, runs the package's tests,
# and prints the changes that no test noticed (LIVED) or that made them hang (TIMED OUT). docs/mutation.md explains
# those that stay. It works on a copy of the tracked files: gremlins copies the module's folder for each worker, and
# the web pages' modules are large.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
[ $# -gt 0 ] || set -- ./runtime/atomicfile ./runtime/disk ./runtime/lora ./runtime/train ./experiments/... ./server/store
go build -modfile=tools/go.mod -o bin/gremlins github.com/go-gremlins/gremlins/cmd/gremlins
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null -cf - -T - | tar -xf - -C "$copy"
cd "$copy"
for package in "$@"; do
	echo "== $package"
	"$root/bin/gremlins" unleash --workers "${WORKERS:-1}" --timeout-coefficient 30 --output-statuses lt "${package%/...}"
done
