#!/bin/sh
# Makes what docker-compose.yml needs beside it: .env, secrets/ and hosts/. What is there already is kept.
#
#   deploy/prepare.sh [ADDRESS [own-proxy]]
#
# ADDRESS is where people will reach dockmgr, such as https://dockmgr.example.com. With https:// the proxy of the
# compose file is switched on, unless `own-proxy` says that one of yours stands in front. DOCKER_SOCKET is where the
# socket of the machine's engine is, by default /var/run/docker.sock. COMPOSE_PROJECT_NAME is the name of this
# installation, by default dockmgr; two on one machine have two names.
set -eu
umask 077
cd -- "$(dirname -- "$0")/.."

address=${1:-http://localhost:8000}
proxy=${2:-}
socket=${DOCKER_SOCKET:-/var/run/docker.sock}
name=${COMPOSE_PROJECT_NAME:-dockmgr}

fail() {
    echo "prepare: $1" >&2
    exit 1
}

case $address in
https://?* | http://?*) ;;
*) fail "the address begins with https:// or http://." ;;
esac
# Browsers copy a slash at the end. To Caddy it is a path, and it would answer any other with an empty page.
address=${address%/}
case ${address#*://} in
'' | *[!][A-Za-z0-9._:-]*) fail "after the scheme the address has a host, and a port where it needs one, alone." ;;
esac
case $proxy in
'' | own-proxy) ;;
*) fail "after the address only own-proxy may stand." ;;
esac

random() { # number of bytes, as hexadecimal digits
    od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

fernet_key() {
    head -c 32 /dev/urandom | base64 | tr '+/' '-_'
}

# Containers run as accounts of their own and must read them; the folder lets nobody else on this machine in.
keep() { # file; its content is read from standard input
    if [ -e "secrets/$1" ]; then
        cat >/dev/null
        return
    fi
    rm -f "secrets/.new"
    cat >"secrets/.new"
    chmod 0444 "secrets/.new"
    mv "secrets/.new" "secrets/$1"
    echo "prepare: made secrets/$1"
}

# Few rights: data and messages of this database, nothing about the server. Without a password: nothing but PING.
acl() {
    hash=$(printf %s "$1" | sha256sum | cut -d ' ' -f 1)
    echo "user default on nopass resetkeys resetchannels -@all +ping"
    echo "user dockmgr on #$hash ~* &* -@all +@read +@write +@keyspace +@pubsub +@transaction +@connection" \
        "+time +eval +evalsha +script|load +script|exists -@dangerous -@admin"
}

secrets() {
    mkdir -p secrets/dockmgr hosts
    random 24 | keep postgres_password
    printf 'postgres://dockmgr:%s@postgres:5432/dockmgr\n' "$(cat secrets/postgres_password)" | keep dockmgr/database_url
    printf 'redis://dockmgr:%s@redis:6379/0\n' "$(random 24)" | keep dockmgr/broker_url
    broker=$(sed 's|^redis://dockmgr:\(.*\)@.*|\1|' secrets/dockmgr/broker_url)
    acl "$broker" | keep redis_acl
    random 40 | keep dockmgr/secret_key
    fernet_key | keep dockmgr/encryption_keys
    random 24 | keep dockmgr/metrics_token
}

# Compose would take the containers and volumes of another folder for its own, where both have one name.
refuse_to_take_over() { # name of the installation
    folder='{{.Label "com.docker.compose.project.working_dir"}}'
    named=label=com.docker.compose.project=$1
    other=$(docker --host "unix://$socket" ps --all --filter "$named" --format "$folder" 2>/dev/null | head -n 1)
    case $other in
    '' | "$(pwd)" | "$(pwd -P)") ;;
    *) fail "an installation called $1 is in $other: end it there, or say COMPOSE_PROJECT_NAME=NAME for this one." ;;
    esac
}

settings() { # group of the engine's socket
    echo "# Settings, no secrets: any of docs/settings.md may stand here."
    [ "$name" = dockmgr ] || echo "COMPOSE_PROJECT_NAME=$name"
    echo "DOCKER_GID=$1"
    echo "DOCKER_SOCKET=$socket"
    echo "DOCKMGR_PUBLIC_URL=$address"
    echo "DOCKMGR_METRICS_TOKEN_FILE=/run/secrets/metrics_token"
    case $proxy:$address in
    own-proxy:*) echo "DOCKMGR_TRUSTED_PROXIES=1" ;;
    :https://*)
        echo "COMPOSE_PROFILES=proxy"
        echo "DOCKMGR_TRUSTED_PROXIES=1"
        ;;
    esac
}

if [ ! -e .env ]; then
    group=$(stat -L -c %g "$socket" 2>/dev/null) || fail "there is no engine's socket at $socket (DOCKER_SOCKET)."
    refuse_to_take_over "$name"
    settings "$group" >.env.new # all of it or nothing: what is there is kept
    mv .env.new .env
    echo "prepare: made .env"
fi
secrets
chmod 0755 secrets/dockmgr hosts
