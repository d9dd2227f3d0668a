#!/bin/sh
# tools/lock.sh: resolve pyproject.toml anew into locks/*.txt. Hashes are of every platform's files; no URL is written,
# so a lock says what is installed and never from where.
set -eu
cd "$(dirname "$0")/.."

compile() { out=$1; shift; .venv/bin/uv pip compile "$@" --quiet --upgrade --universal --python-version 3.11 \
    --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file "locks/$out"; }

compile tools.txt locks/tools.in
compile run.txt pyproject.toml --extra local
compile dev.txt pyproject.toml --extra local --group dev
git diff --stat -- locks
