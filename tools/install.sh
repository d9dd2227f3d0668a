#!/bin/sh
# tools/install.sh run|dev: make .venv hold what the lock names, and the `muster` command.
#
# Needs Python 3.11 or newer with its venv module, nothing else. pip installs the two pinned tools (uv, setuptools), uv
# does the rest: 50 packages in seconds where pip takes half a minute. Everything is checked against the hashes in locks/.
# A stamp in .venv tells what was installed, so a second call costs nothing. What `dev` installed also serves `run`, and
# is never taken away by it.
set -eu
cd "$(dirname "$0")/.."

wanted=${1:-run}
case $wanted in run | dev) ;; *) echo "usage: tools/install.sh run|dev" >&2; exit 2 ;; esac
stamp=.venv/.muster-installed

say() { printf '  %s\n' "$*"; }
fail() { printf 'muster: %s\n' "$*" >&2; exit 1; }

# What would be installed for $1, as one line: a change of a lock, of the project's own packaging or of the folder shows.
digest() { { cat locks/tools.txt "locks/$1.txt" pyproject.toml tools/install.sh; pwd; } | cksum; }

is_current() { [ -x .venv/bin/muster ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$1 $(digest "$1")" ]; }

if is_current dev || { [ "$wanted" = run ] && is_current run; }; then exit 0; fi
case $(cat "$stamp" 2>/dev/null || true) in dev*) wanted=dev ;; esac

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# The distribution's comes first: it is compiled with optimisation by profile, and those that version managers compile
# are often not, which costs a quarter of the speed.
find_python() {
    lacking=
    for name in ${PYTHON:-/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11}; do
        if ! command -v "$name" >/dev/null || ! fits "$name"; then continue; fi
        if makes_venvs "$name"; then command -v "$name"; return; fi
        lacking=${lacking:-$name}
    done
    [ -z "$lacking" ] ||
        fail "$lacking cannot make virtual environments: install its venv module (on Debian: apt install python3-venv)"
    fail "no Python 3.11 or newer found: install it, or name it: make $wanted PYTHON=/path/to/python3.11"
}

if [ ! -x .venv/bin/python ] || ! fits .venv/bin/python; then
    python=$(find_python)
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

say "installing uv"
# No bytecode: uv is a program, and setuptools is used once.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r locks/tools.txt
say "installing what locks/$wanted.txt names"
.venv/bin/uv pip sync --python .venv/bin/python --require-hashes "locks/$wanted.txt" ||
    fail "the packages could not be installed: is the package registry reachable? (uv reads UV_DEFAULT_INDEX, not pip's settings)"
# Editable by a plain path entry: setuptools' default is an import hook that costs every process 8 ms.
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation \
    --config-settings editable_mode=compat --editable .
say "compiling"
.venv/bin/python -m compileall -q -j 0 .venv/lib core gamepod matchmaker webapi >/dev/null || true
printf '%s' "$wanted $(digest "$wanted")" >"$stamp"
