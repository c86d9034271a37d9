#!/usr/bin/env bash
# The examples hyper_hello and tls_echo, spoken to by clients that are not ours.
# .ci/http_clients.sh [--seconds N]: how long wrk and h2load drive the server; 3 unless given.
# curl, openssl, wrk and h2load are each skipped, with a line that says so, where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=3
case "${1:-}" in
    "") ;;
    --seconds) seconds="${2:?--seconds needs a number}" ;;
    *) echo "usage: $0 [--seconds N]" >&2; exit 2 ;;
esac

cargo build --release --locked --features hyper,self-signed --examples
folder=$(mktemp -d)
servers=()
end() {
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap end EXIT

fail() {
    echo "http_clients: $*" >&2
    exit 1
}

# Whether a client is there.
has() {
    command -v "$1" >/dev/null && return
    echo "$1: skipped, not installed"
    return 1
}

# Starts an example on a port that the system chooses; `address` is where it listens.
start() {
    local log="$folder/$1.log"
    # There before the first look at it.
    : >"$log"
    "target/release/examples/$1" --addr 127.0.0.1:0 --loops 2 >"$log" 2>&1 &
    servers+=($!)
    for _ in $(seq 100); do
        address=$(sed -n 's/^[a-z ]* on \([0-9.:]*\).*/\1/p' "$log")
        [ -n "$address" ] && return
        sleep 0.1
    done
    cat "$log" >&2
    fail "$1 does not say where it listens"
}

start hyper_hello
http=$address
hyper_hello=${servers[-1]}

if has curl; then
    ask() { curl --silent --show-error --fail --max-time 10 --write-out '%{http_version} %{num_connects}\n' "$@"; }
    # Two requests, so that the second uses the connection of the first.
    answer=$(ask --http1.1 "http://$http/one" "http://$http/two") || fail "curl --http1.1: $answer"
    expected=$'hello, one\n1.1 1\nhello, two\n1.1 0'
    [ "$answer" = "$expected" ] || fail "curl --http1.1: $answer"
    echo "curl --http1.1: both requests answered on one connection"
    # One alone: curl 7.88, which Debian 12 has, fails at the second itself (curl/curl#10634).
    # h2load sends many on a connection.
    answer=$(ask --http2-prior-knowledge "http://$http/one") || fail "curl --http2-prior-knowledge: $answer"
    [ "$answer" = $'hello, one\n2 1' ] || fail "curl --http2-prior-knowledge: $answer"
    echo "curl --http2-prior-knowledge: answered in HTTP/2"
fi

if has wrk; then
    report=$(wrk -t1 -c50 -d"${seconds}s" --timeout 20s "http://$http/wrk")
    echo "$report"
    grep -q 'requests in' <<<"$report" || fail "wrk: no report"
    # wrk has these lines only if there is something to report.
    ! grep -E 'Socket errors|Non-2xx' <<<"$report" || fail "wrk: errors"
    requests=$(awk '/requests in/ { print $1 }' <<<"$report")
    [ "$requests" -gt 0 ] || fail "wrk: no request was answered"
fi

# All requests of a report of h2load's have succeeded.
check_h2load() {
    echo "$1" | grep -E '^(finished|requests|status codes)'
    local counts
    counts=$(sed -n 's/^requests: .* \([0-9]*\) done, \([0-9]*\) succeeded, \([0-9]*\) failed, \([0-9]*\) errored, \([0-9]*\) timeout$/\1 \2 \3 \4 \5/p' <<<"$1")
    read -r done succeeded failed errored timeout <<<"$counts"
    [ "${done:-0}" -gt 0 ] && [ "$done" = "$succeeded" ] && [ "$failed$errored$timeout" = 000 ] ||
        fail "h2load: ${counts:-no report}"
}

if has h2load; then
    check_h2load "$(h2load -n 20000 -c 20 -m 10 "http://$http/h2load")"
    check_h2load "$(h2load -D "$seconds" -c 20 -m 10 "http://$http/h2load")"
fi

# An idle connection is open while the server is told to stop: it has to end at once all the same.
exec 3<>"/dev/tcp/${http%:*}/${http##*:}"
printf 'GET /idle HTTP/1.1\r\nhost: localhost\r\n\r\n' >&3
read -r status <&3
[[ $status == "HTTP/1.1 200 OK"* ]] || fail "plain socket: $status"
stopping=$SECONDS
kill -TERM "$hyper_hello"
wait "$hyper_hello" || fail "hyper_hello ended with $?"
[ $((SECONDS - stopping)) -lt 5 ] || fail "hyper_hello did not close an idle connection"
exec 3>&-
grep 'has answered' "$folder/hyper_hello.log"

if has openssl; then
    start tls_echo
    sed -n '/BEGIN CERT/,/END CERT/p' "$folder/tls_echo.log" >"$folder/root.pem"
    # Digits and small letters: s_client takes some capitals for commands.
    head -c 500000 /dev/urandom | od -An -v -tx1 | tr -d ' ' >"$folder/sent"
    # s_client drops the rest of the echo when its input ends: the input waits for it, 10 s at most.
    feed() {
        cat "$folder/sent"
        for _ in $(seq 100); do
            [ "$(wc -c <"$folder/back")" -lt "$(wc -c <"$folder/sent")" ] || return 0
            sleep 0.1
        done
    }
    for version in -tls1_3 -tls1_2; do
        : >"$folder/back"
        # What openssl prints itself goes to standard error; -quiet leaves the bytes alone.
        feed | timeout 30 openssl s_client -connect "$address" \
            -servername localhost -verify_hostname localhost -CAfile "$folder/root.pem" \
            -verify_return_error -alpn echo $version -quiet -no_ign_eof \
            >>"$folder/back" 2>"$folder/openssl.log" || { cat "$folder/openssl.log"; fail "openssl $version"; }
        cmp "$folder/sent" "$folder/back" || fail "openssl $version: other bytes came back"
        agreed=$(timeout 10 openssl s_client -connect "$address" -alpn echo $version </dev/null 2>/dev/null)
        grep -q 'ALPN protocol: echo' <<<"$agreed" || fail "openssl $version: no ALPN"
        echo "openssl s_client $version: $(wc -c <"$folder/back") bytes came back, ALPN echo"
    done
    if timeout 10 openssl s_client -connect "$address" -alpn other </dev/null >/dev/null 2>&1; then
        fail "openssl: a protocol that the server does not speak was agreed on"
    fi
    echo "openssl s_client: a protocol that is not offered is refused"
fi
echo "http_clients: passed"
