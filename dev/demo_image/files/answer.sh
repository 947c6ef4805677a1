#!/bin/sh
# One connection: the request on standard input, the answer on standard output, the log on descriptor 3.
set -u

state=/run/demo

answer() { # STATUS JSON
    echo "$method $target $1" >&3
    printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n' "$1" "${#2}"
    printf 'Connection: close\r\n\r\n%s' "$2"
}

facts() { # FIELDS
    read -r started <"$state/started"
    echo "{$1, \"version\": \"${DEMO_VERSION:-unknown}\", \"uptime\": $(($(date +%s) - started))}"
}

hang() {
    echo "$method $target hangs" >&3
    exec cat >/dev/null # until the client gives up
}

health() {
    read -r mode <"$state/mode"
    case $mode in
    ok) answer "200 OK" "$(facts '"ok": true, "status": "live"')" ;;
    notok) answer "200 OK" "$(facts '"ok": false, "status": "failing"')" ;;
    starting) answer "200 OK" "$(facts '"ok": true, "gateway": "starting"')" ;;
    hang) hang ;;
    *) answer "$mode Demo" "$(facts '"ok": false, "status": "failing"')" ;;
    esac
}

switch() { # MODE
    case $1 in
    ok | notok | starting | hang | [2-5][0-9][0-9])
        echo "$1" >"$state/mode.$$"
        mv "$state/mode.$$" "$state/mode"
        answer "200 OK" "{\"mode\": \"$1\"}"
        ;;
    exit)
        answer "200 OK" '{"mode": "exit"}'
        kill "$PPID" # the server; the main process ends with it
        ;;
    *) answer "400 Bad Request" '{"error": "modes: ok, notok, starting, hang, exit or a status code"}' ;;
    esac
}

read -r method target _
while IFS= read -r header && [ "${#header}" -gt 1 ]; do :; done

case ${target%%\?*} in
/healthz) health ;;
/mode/*) switch "${target#/mode/}" ;;
*) answer "404 Not Found" '{"error": "only /healthz and /mode/MODE are here"}' ;;
esac
