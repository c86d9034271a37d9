#!/bin/sh
# Applies each patch of a folder to a copy of the tree, and checks that the model which the patch
# names in its first line fails: loom-tests/mutants.sh [--compat] [NAME...]
# Without --compat the patches are those of the runtime, with it those of the drop-in tokio.
#
# A patch that does not apply or does not build, a model that passes, and one that neither fails
# nor ends within 60 s are failures of this check.
set -u
cd "$(dirname "$0")/.."
root=$PWD
workspace=. package=loom-tests
if [ "${1:-}" = --compat ]; then
    shift
    workspace=compat package=compat-loom-tests
fi
folder=$workspace/loom-tests/mutants
tree=$root/target/mutants/tree
export CARGO_TARGET_DIR=$root/target/mutants/build RUSTFLAGS="--cfg loom" RUST_BACKTRACE=0
# Each mutant is built anew and runs for a moment: what is built fast is done first.
export CARGO_PROFILE_LOOM_DEBUG=false CARGO_PROFILE_LOOM_OPT_LEVEL=1
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-2}"

rm -rf "$tree"
mkdir -p "$tree"
git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C "$tree"
cd "$tree" || exit 1
# The copy is no part of a repository, so that `git apply` takes paths as they stand.
GIT_CEILING_DIRECTORIES=$root/target/mutants
export GIT_CEILING_DIRECTORIES

names=${*:-$(cd $folder && ls *.patch | sed 's/\.patch$//')}
caught=0
failed=0
printf '%-28s %-40s %s\n' mutant model result
for name in $names; do
    patch=$root/$folder/$name.patch
    model=$(sed -n '1s/^# model: //p' "$patch")
    binary=${model%%::*}
    test=${model##*::}
    log=$root/target/mutants/$name.log
    started=$(date +%s)
    if ! patch -p1 -s -N --no-backup-if-mismatch -F0 <"$patch" >"$log" 2>&1; then
        result="DOES NOT APPLY"
    elif ! (cd $workspace && cargo test --locked -q -p $package --profile loom --test "$binary" --no-run) >>"$log" 2>&1; then
        result="DOES NOT BUILD"
    else
        (cd $workspace && timeout 60 cargo test --locked -q -p $package --profile loom --test "$binary" -- --exact "$test") >>"$log" 2>&1
        status=$?
        if [ "$status" -eq 124 ]; then
            result="NOT CAUGHT: does not end"
        elif [ "$status" -eq 0 ]; then
            result="NOT CAUGHT"
        else
            result=caught
        fi
    fi
    # Back to the source: cargo rebuilds what it finds changed, which is the patched file alone.
    grep '^+++ b/' "$patch" | sed 's,^+++ b/,,' | while read -r file; do
        cp "$root/$file" "$file"
        touch "$file"
    done
    if [ "$result" = caught ]; then caught=$((caught + 1)); else failed=$((failed + 1)); fi
    printf '%-28s %-40s %s (%s s)\n' "$name" "$model" "$result" $(($(date +%s) - started))
done
echo "$caught passed, $failed failed"
[ "$failed" -eq 0 ]
