#!/bin/sh
# tools/audit.sh: ask an advisory service whether what the locks name has known vulnerabilities (pip-audit).
#
# It needs the service, so it is no part of .ci/run: there a run without network could only fail, or pass unasked. Where
# the service is reached it belongs into a scheduled job: advisories come without a change of ours.
set -eu
cd "$(dirname "$0")/.."
status=0
for lock in run dev tools; do
    echo "locks/$lock.txt"
    # What is locked is what is asked about: nothing is resolved or installed. Strict: who is not known to the service
    # was not audited, and that is no success.
    .venv/bin/uv tool run --quiet pip-audit@2.10.1 --strict --disable-pip --require-hashes --progress-spinner off \
        --requirement "locks/$lock.txt" || status=$?
done
exit "$status"
