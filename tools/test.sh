#!/bin/sh
# tools/test.sh: every test, with coverage of this process and of the services it starts. Pytest's closing line is
# repeated after the coverage report, so that the last line says how it went.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache
log=.cache/pytest.log
status=.cache/pytest.status

rm -f .coverage .coverage.*
{ code=0; .venv/bin/coverage run -m pytest "$@" || code=$?; echo "$code" >"$status"; } 2>&1 | tee "$log"
.venv/bin/coverage combine --quiet 2>/dev/null || true
.venv/bin/coverage report --skip-covered --skip-empty --sort=cover | tail -40
echo
tail -1 "$log"
exit "$(cat "$status")"
