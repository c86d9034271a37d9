#!/usr/bin/env bash
# curl against file_download, proxy and socks5: a file comes through every way as it is, and a
# refused connection is answered as such. Needs the examples in target/PROFILE/examples (default:
# release) and curl. Usage: .ci/transfer_clients.sh [PROFILE]
set -euo pipefail
cd "$(dirname "$0")/.."
examples="target/${1:-release}/examples"
work=$(mktemp -d)
pids=()
cleanup() {
    kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# Starts an example and sets `address` to where it listens.
start() {
    local log="$work/$1.log"
    : >"$log"
    "$examples/$@" >"$log" 2>&1 &
    pids+=($!)
    address=
    for _ in $(seq 100); do
        address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$log" | head -1 || true)
        [ -n "$address" ] && return
        sleep 0.1
    done
    echo "$1 does not listen:"
    cat "$log"
    exit 1
}

head -c 9000001 /dev/urandom >"$work/file"
fetch() { curl --silent --show-error --fail --max-time 60 --noproxy '' --output "$work/copy" "$@"; }
same() {
    cmp "$work/file" "$work/copy"
    rm "$work/copy"
    echo "transfer_clients: $1: the same"
}

start file_download --file "$work/file" --addr 127.0.0.1:0
files=$address
for way in read chunks send_file; do
    fetch "http://$files/$way"
    same "$way"
done
start proxy --listen 127.0.0.1:0 --to "$files"
fetch "http://$address/send_file"
same "through proxy"
# A download that is cut off is not one that has ended.
if command -v python3 >/dev/null; then
    .ci/cut_download.py "$examples/proxy"
fi
start socks5 --addr 127.0.0.1:0
fetch --socks5 "$address" "http://$files/chunks"
same "through socks5 by address"
fetch --socks5-hostname "$address" "http://localhost:${files##*:}/chunks"
same "through socks5 by name"
# 97: the proxy refused. Nobody listens on port 1.
code=0
curl --silent --max-time 60 --socks5 "$address" http://127.0.0.1:1/ || code=$?
[ "$code" = 97 ] || { echo "socks5 to nobody: curl says $code"; exit 1; }
echo "transfer_clients: socks5 to nobody: refused"
# A client that is refused gets the answer and the end, and may go on sending: no reset can overtake
# the answer. BIND is not supported (7).
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
reset() { echo "socks5 has reset a refusal"; exit 1; }
(printf '\5\1\0\5\2\0\1\177\0\0\1\0\1'; head -c 20000 /dev/zero) >&3 || reset
answer=$(timeout 10 cat <&3 | od -An -v -tx1 | tr -d ' ') || reset
# The first one calls for a reset where the other side is closed, the second one meets it.
(printf more; sleep 0.2; printf more) >&3 || reset
exec 3>&-
[ "$answer" = 050005070001000000000000 ] || { echo "socks5 refused with $answer"; exit 1; }
echo "transfer_clients: socks5: a refusal comes whole"
# With a descriptor for the client and none for where it wants to go: a general failure (1).
if command -v prlimit >/dev/null; then
    start socks5 --addr 127.0.0.1:0
    free=0
    while [ -e "/proc/${pids[-1]}/fd/$free" ]; do free=$((free + 1)); done
    prlimit --pid "${pids[-1]}" --nofile="$((free + 1)):"
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
    printf '\5\1\0\5\1\0\1\177\0\0\1\0\1' >&3
    answer=$(timeout 10 cat <&3 | od -An -v -tx1 | tr -d ' ')
    exec 3>&-
    [ "$answer" = 050005010001000000000000 ] || { echo "socks5 without descriptors: $answer"; exit 1; }
    echo "transfer_clients: socks5 without descriptors: its own failure"
fi
