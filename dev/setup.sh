#!/bin/sh
# Makes .venv at the top of the checkout with everything in requirements.txt; quick when nothing changed.
set -eu

top=$(CDPATH='' cd -P -- "$(dirname -- "$0")/.." && pwd)
venv=$top/.venv
[ ! -L "$venv" ] || venv=$(readlink -f -- "$venv")
requirements=$top/requirements.txt
stamp=$venv/requirements.stamp
place=$venv/place.stamp

fail() {
    echo "setup: $1" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# A distribution's interpreter is optimized by profile; one that a version manager compiled often is not,
# and then takes a third longer for everything here.
choose_python() {
    for candidate in /usr/bin/python3.11 /usr/bin/python3 python3.11 python3; do
        if new_enough "$candidate" && { has_ensurepip "$candidate" || may_install; }; then
            echo "$candidate"
            return
        fi
    done
    new_enough python3 || new_enough python3.11 ||
        fail "Python 3.11 or newer is needed and neither python3.11 nor python3 is that."
    fail "Python's module ensurepip is needed: install it (Debian's package is python3-venv)."
}

has_ensurepip() {
    "$1" -c 'import ensurepip' 2>/dev/null
}

may_install() {
    [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]
}

# Debian keeps ensurepip, without which a virtual environment has no pip, in a package of its own.
need_ensurepip() {
    if has_ensurepip "$1"; then
        return
    fi
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "setup: installing Debian's package $package" >&2
    apt_get update
    apt_get install --yes --no-install-recommends "$package"
}

apt_get() {
    output=$(DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1) ||
        fail "apt-get $* failed: $output"
}

# uv takes seconds where pip takes a minute; where it cannot be had or cannot reach an index, pip does it.
install_requirements() {
    if with_uv 2>/dev/null; then
        return
    fi
    run_pip -r "$requirements" || fail "the packages of requirements.txt could not be installed."
}

with_uv() {
    run_pip uv && "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" -r "$requirements"
}

run_pip() {
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"
}

# Its programs name the interpreter by its whole path: in a copy they would run the other checkout's.
made_here() {
    [ "$(cat "$place" 2>/dev/null)" = "$venv" ]
}

is_whole() {
    new_enough "$venv/bin/python" && made_here
}

wanted=$(cksum <"$requirements")
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && is_whole; then
    echo "setup: .venv is up to date"
    exit 0
fi

rm -f "$stamp"
if ! is_whole || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(choose_python)
    need_ensurepip "$python"
    "$python" -m venv --clear "$venv" || fail "$python could not make a virtual environment."
    echo "$venv" >"$place"
fi
install_requirements
echo "$wanted" >"$stamp"
echo "setup: .venv is ready ($("$venv/bin/python" --version))"
