#!/usr/bin/env bash
# Install the base distribution on the other supported Pythons and import every module of it.
# A Python that is not on this machine is named and passed over: `uv python install 3.12` fetches one.
# usage: scripts/check_pythons.sh [VERSION...]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
constraints=$root/constraints.txt

uv=$(PATH=$root/.venv/bin:$PATH command -v uv || true)
if [ -z "$uv" ]; then
    echo "other Pythons: not checked, because uv could not be had"
    exit 0
fi

interpreter_of() { # prints the path of a Python that really runs, or nothing
    local version=$1 candidate
    for candidate in "$("$uv" python find --no-project --no-python-downloads "$version" 2>/dev/null || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
        if [ -x "$candidate" ] && "$candidate" -c 'import sys' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

[ $# -gt 0 ] || set -- 3.12 3.13
for version in "$@"; do
    python=$(interpreter_of "$version")
    if [ -z "$python" ]; then
        echo "Python $version: not checked, because uv finds none on this machine"
        continue
    fi
    environment=$root/.pythons/$version
    [ -x "$environment/bin/python" ] || "$uv" venv --quiet --no-project --python "$python" "$environment"
    "$uv" pip install --quiet --python "$environment/bin/python" --constraints "$constraints" \
        --build-constraints "$constraints" --reinstall-package airflow-provider-exia "$root"
    # Away from the source folder and with -P, so that the installed copy is what is imported.
    (cd "$environment" && AIRFLOW_HOME=$environment/airflow bin/python -P "$root/scripts/import_every_module.py")
done
