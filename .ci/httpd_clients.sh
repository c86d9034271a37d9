#!/usr/bin/env bash
# The example httpd, spoken to by curl, wrk and plain sockets.
# Usage: .ci/httpd_clients.sh [PROFILE]; the example is in target/PROFILE/examples (default: release).
# Without curl there is no check; without wrk one is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
httpd="target/${1:-release}/examples/httpd"
if ! command -v curl >/dev/null; then
    echo "httpd_clients: skipped, no curl"
    exit 0
fi
folder=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
fail() {
    echo "httpd_clients: $*" >&2
    exit 1
}

# What is served, and what must not be.
site="$folder/site"
mkdir -p "$site/sub" "$site/.well-known" "$site/.git"
echo "hello, world" >"$site/hello.txt"
echo "<p>index" >"$site/sub/index.html"
echo "proof" >"$site/.well-known/proof"
echo "secret" | tee "$site/.git/config" >"$folder/secret"
echo "space" >"$site/a b.txt"
{ head -c 3000000 /dev/urandom; echo; } >"$site/large.bin"
head -c 4096 /dev/urandom >"$site/small.bin"
mkfifo "$site/pipe"

# There before the first look at it.
: >"$folder/log"
# With few descriptors to begin with: the server asks for more.
(ulimit -Sn 256 && exec "$httpd" --root "$site" --addr 127.0.0.1:0 --loops 2) >"$folder/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    address=$(sed -n 's/^httpd on \([0-9.:]*\),.*/\1/p' "$folder/log")
    [ -n "$address" ] && break
    sleep 0.1
done
[ -n "$address" ] || { cat "$folder/log"; fail "httpd does not say where it listens"; }
url="http://$address"
ask() { curl --silent --show-error --max-time 20 --noproxy '' --path-as-is "$@"; }
# status EXPECTED ARGUMENTS...: curl's arguments.
status() {
    local expected=$1 got
    shift
    got=$(ask --output /dev/null --write-out '%{http_code}' "$@") || fail "curl $*: exit code $?"
    [ "$got" = "$expected" ] || fail "curl $*: $got instead of $expected"
}

# Files: kept in memory, and sent by the kernel; twice each on one connection.
for file in hello.txt small.bin large.bin; do
    got=$(ask --write-out '%{num_connects}' --output "$folder/1" "$url/$file" --output "$folder/2" "$url/$file")
    cmp "$site/$file" "$folder/1"
    cmp "$site/$file" "$folder/2"
    [ "$got" = 10 ] || fail "$file: connections of two requests: $got"
done
echo "httpd_clients: files come as they are"

# One file is open once on each loop, however it is spelt (and once more while it is sent).
for spelling in %6carge.bin l%61rge.bin la%72ge.bin lar%67e.bin larg%65.bin; do
    ask --output "$folder/1" "$url/$spelling"
    cmp "$site/large.bin" "$folder/1"
done
if [ -d "/proc/$server/fd" ]; then
    open=$(readlink "/proc/$server/fd/"* | grep -c '/large\.bin$' || true)
    [ "$open" -le 4 ] || fail "one file is open $open times on two loops"
fi

head=$(ask --head "$url/large.bin" | tr -d '\r')
grep -qx 'Content-Length: 3000001' <<<"$head" || fail "HEAD: $head"
modified=$(sed -n 's/^Last-Modified: //p' <<<"$head")
status 304 --header "If-Modified-Since: $modified" "$url/large.bin"
status 200 --header "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT" "$url/large.bin"
status 304 --header "If-None-Match: *" "$url/large.bin"
status 304 --head --header "If-None-Match: *" "$url/hello.txt"
status 404 --header "If-None-Match: *" "$url/nothing.txt"
status 200 --header "If-Modified-Since: $modified" --header 'If-None-Match: "x"' "$url/large.bin"
# Not modified yet, and not within HTTP's years where the file system has later ones.
touch -d "9999-12-31" "$site/later.txt"
later=$(ask --head "$url/later.txt" | tr -d '\r' | sed -n 's/^Last-Modified: //p')
[ -n "$later" ] && [ "$(date -d "$later" +%s)" -le "$(date +%s)" ] || fail "modified in the future: $later"
ask --head "$url/hello.txt" | grep -qi '^content-type: text/plain' || fail "no type for .txt"
status 200 "$url/a%20b.txt?query=/../"
status 301 "$url/sub"
[ "$(ask --location "$url/sub")" = "<p>index" ] || fail "a folder has no index"
[ "$(ask "$url/.well-known/proof")" = proof ] || fail ".well-known is not served"
status 405 --data body "$url/hello.txt"
for path in nothing hello.txt/ hello.txt/more pipe .git/config %2egit/config ../secret %2e%2e/secret \
    ..%2fsecret sub/../../secret sub//index.html /etc/passwd hello.txt%00 %zz; do
    status 404 "$url/$path"
done
echo "httpd_clients: what is not there, and what must not be served, is 404"

# A file that is changed is new after two seconds at most.
echo "hello, again" >"$site/hello.txt"
sleep 2.1
[ "$(ask "$url/hello.txt")" = "hello, again" ] || fail "an old file is served"
# One of the same length, with the time of the old one.
sleep 2.1
[ "$(ask "$url/hello.txt")" = "hello, again" ] || fail "another file is served"
echo "hello, other" >"$folder/new"
touch -r "$site/hello.txt" "$folder/new"
mv "$folder/new" "$site/hello.txt"
sleep 2.1
[ "$(ask "$url/hello.txt")" = "hello, other" ] || fail "a file that was replaced is served"
rm "$site/hello.txt"
sleep 2.1
status 404 "$url/hello.txt"
echo "hello, world" >"$site/hello.txt"
echo "httpd_clients: changes are seen"

# raw BYTES...: sent one after the other, with time between; prints what comes until the end.
raw() {
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
    local bytes
    for bytes; do
        printf "$bytes" >&3
        [ $# = 1 ] || sleep 0.2
    done
    timeout 20 cat <&3 || fail "the connection does not end"
    exec 3>&-
}
first() { head -1 | tr -d '\r'; }
expect() { [ "$1" = "$2" ] || fail "$1 instead of $2"; }
host='Host: x\r\n'
expect "$(raw "GET /hello.txt HTTP/1.1\r\n\r\n" | first)" "HTTP/1.1 400 Bad Request"
expect "$(raw "\001\002\r\n\r\n" | first)" "HTTP/1.1 400 Bad Request"
for lines in "Host: x y" "${host}Content-Length: x" "${host}Content-Length: 0\r\nContent-Length: 5" \
    "${host}Transfer-Encoding: gzip"; do
    expect "$(raw "GET /hello.txt HTTP/1.1\r\n$lines\r\n\r\n" | first)" "HTTP/1.1 400 Bad Request"
done
expect "$(raw "GET / HTTP/3.0\r\n$host\r\n" | first)" "HTTP/1.1 505 HTTP Version Not Supported"
long=$(head -c 20000 /dev/zero | tr '\0' a)
expect "$(raw "GET / HTTP/1.1\r\n${host}X: $long\r\n\r\n" | first)" \
    "HTTP/1.1 431 Request Header Fields Too Large"
expect "$(raw "GET /hello.txt HTTP/1.0\r\n\r\n" | tail -1)" "hello, world"
expect "$(raw "GET http://x/hello.txt HTTP/1.1\r\n${host}Connection: close\r\n\r\n" | tail -1)" "hello, world"
expect "$(raw "GET HTTP://x/hello.txt?y/z HTTP/1.1\r\n${host}Connection: close\r\n\r\n" | tail -1)" "hello, world"
expect "$(raw "GET http://x?y/hello.txt HTTP/1.1\r\n${host}Connection: close\r\n\r\n" | first)" \
    "HTTP/1.1 404 Not Found"
expect "$(raw "GET /hel" "lo.txt HTTP/1.1\r\n$host" "Connection: close\r\n\r\n" | tail -1)" "hello, world"
# Answers come in the order of the requests, whatever they need.
raw "GET /hello.txt HTTP/1.1\r\n$host\r\nHEAD /small.bin HTTP/1.1\r\n$host\r\nGET /large.bin HTTP/1.1\r\n$host\r\nGET /none HTTP/1.1\r\n$host\r\nGET /a%%20b.txt HTTP/1.1\r\n${host}Connection: close\r\n\r\nGET /never HTTP/1.1\r\n" \
    >"$folder/pipelined"
answers=$(grep -a -E '^(HTTP/1.1 |Content-Length: )' "$folder/pipelined" | tr -d '\r' | tr '\n' ' ')
expect "$answers" "HTTP/1.1 200 OK Content-Length: 13 HTTP/1.1 200 OK Content-Length: 4096 HTTP/1.1 200 OK Content-Length: 3000001 HTTP/1.1 404 Not Found Content-Length: 14 HTTP/1.1 200 OK Content-Length: 6 "
expect "$(tail -1 "$folder/pipelined")" space
echo "httpd_clients: refusals, pieces and pipelines"

# Connections that are idle: more than there were descriptors for, and without a buffer each. What
# they ask for is no file, so the request has to be kept while it is looked for.
memory() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$server/status"; }
idle=500
if [ -r "/proc/$server/status" ] && [ "$(ulimit -Sn)" -ge 600 ] && [ "$(ulimit -Hn)" -ge 2048 ]; then
    connections=()
    before=$(memory)
    for number in $(seq $idle); do
        exec {connection}<>"/dev/tcp/${address%:*}/${address##*:}"
        connections+=("$connection")
        printf "GET /none HTTP/1.1\r\n${host}X: ${long::12000}\r\n\r\n" >&"$connection"
        read -r -t 20 line <&"$connection" || fail "connection $number has no answer"
        expect "${line%$'\r'}" "HTTP/1.1 404 Not Found"
    done
    each=$((($(memory) - before) * 1024 / idle))
    [ "$each" -lt 6000 ] || fail "an idle connection has $each bytes"
    status 200 "$url/hello.txt"
    for connection in "${connections[@]}"; do
        exec {connection}>&-
    done
    echo "httpd_clients: $idle idle connections have $each bytes each"
else
    echo "httpd_clients: idle connections skipped, no /proc or too few descriptors"
fi

if command -v wrk >/dev/null; then
    for file in hello.txt large.bin; do
        report=$(wrk -t1 -c50 -d1s --timeout 20s "$url/$file")
        ! grep -E 'Socket errors|Non-2xx' <<<"$report" || fail "wrk $file: errors"
        grep 'requests in' <<<"$report" || fail "wrk: no report"
    done
else
    echo "wrk: skipped, not installed"
fi

# An idle connection is open: the server has to end at once all the same.
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
printf 'HEAD /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n' >&3
read -r line <&3
[[ $line == "HTTP/1.1 200 OK"* ]] || fail "plain socket: $line"
stopping=$SECONDS
kill -TERM "$server"
wait "$server" || fail "httpd ended with $?"
server=
[ $((SECONDS - stopping)) -lt 5 ] || fail "httpd did not close an idle connection"
exec 3>&-
! grep -i panicked "$folder/log" || fail "httpd has panicked"
tail -1 "$folder/log"
echo "httpd_clients: passed"
