#!/bin/sh
# Main process: boots, serves until TERM, and ends with 1 when its server is gone.
set -u

state=/run/demo
rm -rf "$state" # the writable layer survives a restart; a mode switched over HTTP must not
mkdir -p "$state"
date +%s >"$state/started"
echo "${MODE:-ok}" >"$state/mode"

trap 'exit 0' TERM INT
echo "demo ${DEMO_VERSION:-unknown} boots, mode ${MODE:-ok}"
if [ -d /data ]; then
    echo "boot $(date -u +%Y-%m-%dT%H:%M:%SZ)" >>/data/boots
fi
sleep "${BOOT_SECONDS:-0}" &
wait $!
if [ "${MODE:-ok}" = exit ]; then
    echo "mode exit: ending"
    exit 1
fi

echo "listening on port ${PORT:-8080}"
nc -ll -p "${PORT:-8080}" -e /srv/answer.sh 3>&1 &
wait $!
exit 1
