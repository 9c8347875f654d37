#!/bin/sh
# tools/mutate.sh [FLAG | PACKAGE]…: changes the code in small ways, one at a time, and prints the changes that no test of
# the package notices (LIVED, NOT REACHED) or that made one hang (timed out). docs/mutation.md explains those that stay,
# and the flags, which are those of tools/mutants. It works on a copy of the tracked files.
set -eu
cd "$(dirname "$0")/.."
go -C tools build -o ../bin/mutants ./mutants
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null -cf - -T - | tar -xf - -C "$copy"
cd "$copy"
packages=0
for arg in "$@"; do
	case $arg in
	./*) packages=1 ;;
	esac
done
[ $packages = 1 ] || set -- "$@" ./runtime/atomicfile ./runtime/disk ./runtime/lora ./runtime/train ./experiments/... ./server/store
"$root/bin/mutants" "$@"
