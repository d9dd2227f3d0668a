#!/bin/sh
# tools/smoke-package.sh [FOLDER]: build sdist and wheel, the wheel from the sdist, install it into a fresh environment
# with what locks/run.txt names, and ask it for things that a forgotten package file would break. FOLDER keeps the two.
set -eu
[ -z "${1:-}" ] || { mkdir -p "$1"; set -- "$(cd "$1" && pwd)"; }
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

uv=$PWD/.venv/bin/uv
# From a copy: a build leaves folders behind, and a file that git does not know must not help.
git ls-files --cached --others --exclude-standard -z | xargs -0 sh -c 'for f; do [ -f "$f" ] && printf "%s\0" "$f"; done' sh |
    tar --null --files-from - -cf - | (mkdir "$place/tree" && cd "$place/tree" && tar xf -)
"$uv" build --quiet --no-build-isolation --python .venv/bin/python --out-dir "$place/dist" "$place/tree"
"$uv" venv --quiet --python .venv/bin/python "$place/venv"
"$uv" pip install --quiet --python "$place/venv/bin/python" --require-hashes -r locks/run.txt
"$uv" pip install --quiet --python "$place/venv/bin/python" --no-deps "$place"/dist/*.whl
cd "$place"
venv/bin/muster --version
venv/bin/python - <<'PYTHON'
from importlib.resources import files

from core.redis.library import LIBRARY

assert "match_claim" in LIBRARY.functions, "the Redis functions are not in the package"
assert (files("webapi") / "pages" / "index.html").is_file(), "the page is not in the package"
PYTHON
ls dist
[ -z "${1:-}" ] || cp dist/*.tar.gz dist/*.whl "$1"
