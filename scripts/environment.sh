#!/usr/bin/env bash
# Make .venv and install this project in it with one extra, at the versions of constraints.txt.
# usage: scripts/environment.sh EXTRA
set -euo pipefail
cd "$(dirname "$0")/.."
extra=$1
constraints=$PWD/constraints.txt

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

make_environment() {
    local python
    python=$(find_python)
    rm -rf .venv
    if [ -n "$python" ]; then
        # Debian splits off ensurepip: then venv fails and leaves half an environment.
        "$python" -m venv .venv >/dev/null 2>&1 && return
        rm -rf .venv
        "$python" -m virtualenv --quiet .venv >/dev/null 2>&1 && return
        command -v virtualenv >/dev/null && virtualenv --quiet --python "$python" .venv && return
    fi
    command -v uv >/dev/null && uv venv --quiet --no-project --python "${python:->=3.11}" .venv && return
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer was not found: install it, or uv, which brings one, and call make again." >&2
    else
        echo "No virtual environment can be made: install python3-venv, virtualenv or uv, and call make again." >&2
    fi
    return 1
}

find_uv() { # prints a uv to install with, or nothing
    [ -x .venv/bin/uv ] ||
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint "$constraints" uv \
            >/dev/null 2>&1 || true
    PATH=$PWD/.venv/bin:$PATH command -v uv || true
}

is_new_enough .venv/bin/python || make_environment
uv=$(find_uv)
echo "installing airflow-provider-exia[$extra] into .venv" >&2
if [ -n "$uv" ]; then
    "$uv" pip install --quiet --python .venv/bin/python --constraints "$constraints" \
        --build-constraints "$constraints" --editable ".[$extra]"
else
    echo "uv could not be had: plain pip takes about a minute" >&2
    # The variable, unlike the option, also reaches the build of this project.
    PIP_CONSTRAINT=$constraints .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --editable ".[$extra]"
fi
touch ".venv/.installed-$extra"
