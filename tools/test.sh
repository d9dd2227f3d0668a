#!/bin/sh
# tools/test.sh: the tests, with coverage of pytest and of the services that it starts, then figures of the code
# (tools/quality.py). The last line says how it went.
#
#   tools/test.sh                      every test, in lanes that run beside each other (tools/lanes.py)
#   tools/test.sh --lane stack rest    these lanes
#   tools/test.sh tests/e2e -k name    one pytest with these arguments
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
log=.cache/test.log
status=.cache/test.status

run() {
    if [ "${1:---lane}" != --lane ]; then
        exec .venv/bin/python -m coverage run -m pytest "$@"
    fi
    [ $# -eq 0 ] || shift
    exec .venv/bin/python -m tools.lanes "$@"
}

rm -f .coverage .coverage.*
{ code=0; (run "$@") || code=$?; echo "$code" >"$status"; } 2>&1 | tee "$log"
.venv/bin/coverage combine --quiet 2>/dev/null || true
.venv/bin/coverage report --skip-covered --skip-empty --sort=cover | tail -40
echo
.venv/bin/python -m tools.quality
echo
tail -1 "$log"
exit "$(cat "$status")"
