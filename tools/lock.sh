#!/bin/sh
# tools/lock.sh: resolve pyproject.toml anew into locks/*.txt. Hashes are of every platform's files; no URL is written,
# so a lock says what is installed and never from where. What goes into images follows run.txt: one version everywhere.
set -eu
cd "$(dirname "$0")/.."

compile() { out=$1; shift; .venv/bin/uv pip compile "$@" --quiet --universal --python-version 3.11 \
    --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file "locks/$out"; }

compile tools.txt --upgrade locks/tools.in
compile run.txt --upgrade pyproject.toml --extra local --extra grpc --extra s3 --extra kafka --extra rabbitmq
compile dev.txt --upgrade pyproject.toml --extra local --extra grpc --extra s3 --extra kafka --extra rabbitmq --group dev
compile service.txt --upgrade pyproject.toml --extra local --extra s3 --extra kafka --extra rabbitmq --constraints locks/run.txt
compile gamepod.txt --upgrade locks/gamepod.in --constraints locks/run.txt
git diff --stat -- locks
