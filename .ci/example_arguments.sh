#!/usr/bin/env bash
# Every example that is built tells its usage (--help: standard output, exit code 0), and refuses
# what it does not know (standard error, exit code 2).
# Usage: .ci/example_arguments.sh [PROFILE]
set -euo pipefail
cd "$(dirname "$0")/.."
folder="target/${1:-release}/examples"
fail() {
    echo "example_arguments: $*" >&2
    exit 1
}
# Runs an example; `code` and `out` (standard output) are what comes of it.
run() {
    code=0
    out=$(timeout 10 "$@" 2>/dev/null) || code=$?
}
refuses() {
    run "$@"
    [ "$code" = 2 ] && [ -z "$out" ] || fail "$* ends with $code: $out"
}

count=0
for source in examples/*.rs examples/*/main.rs; do
    name=$(basename "${source%/main.rs}" .rs)
    example="$folder/$name"
    if [ ! -x "$example" ]; then
        echo "$name: skipped, not built"
        continue
    fi
    run "$example" --help
    [ "$code" = 0 ] && [[ $out == "usage: $name"* ]] || fail "$name --help ends with $code: $out"
    usage=$out
    refuses "$example" --nonsense
    refuses "$example" --nonsense 1
    refuses "$example" one two three
    for option in --addr --loops --leases --bench --connections --size; do
        # Named and refused for its value that is missing, or not named and not taken.
        [[ $usage == *"$option]"* ]] || refuses "$example" "$option"
    done
    count=$((count + 1))
done
[ "$count" -gt 0 ] || fail "no example in $folder"
refuses "$folder/memcached" --memory-mib 17592186044416
refuses "$folder/file_download" --file examples
echo "example_arguments: $count examples"
