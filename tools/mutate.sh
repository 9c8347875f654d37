#!/bin/sh
# tools/mutate.sh [PACKAGE | FILE.go]…: changes the code in small ways, one at a time, runs the package's tests,
# and prints the changes that no test noticed (LIVED) or that made them hang (TIMED OUT). docs/mutation.md explains
# those that stay. It works on a copy of the tracked files: gremlins copies the module's folder for each worker, and
# the web pages' modules are large. A change may take the time of the package's tests PATIENCE times.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
[ $# -gt 0 ] || set -- ./runtime/atomicfile ./runtime/disk ./runtime/lora ./runtime/train ./experiments/... ./server/store
go build -modfile=tools/go.mod -o bin/gremlins github.com/go-gremlins/gremlins/cmd/gremlins
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null -cf - -T - | tar -xf - -C "$copy"
cd "$copy"
# The first run of a package's tests is the measure of its time: one out of go's cache would make every change time out.
export GOFLAGS="${GOFLAGS:-} -count=1"
for target in "$@"; do
	echo "== $target"
	case $target in
	*.go) package=$(dirname "$target") file=$(basename "$target") ;;
	*) package=${target%/...} file= ;;
	esac
	set -- --workers "${WORKERS:-1}" --timeout-coefficient "${PATIENCE:-30}" --output-statuses lt
	if [ -n "$file" ]; then # gremlins knows only which files to leave out
		for other in $(find "$package" -name '*.go' ! -name '*_test.go' ! -path "$package/$file"); do
			set -- "$@" --exclude-files "(^|/)$(basename "$other" .go)[.]go\$"
		done
	fi
	"$root/bin/gremlins" unleash "$@" "$package"
done
