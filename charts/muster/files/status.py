"""Runs in the pod of `helm test`: asks the API as a client would, and fails with what it was told instead."""

import os
import sys
import urllib.request

EXPECTED = {"/status": "Server is running !", "/healthz": "", "/readyz": "", "/openapi.json": '"openapi"'}

for path, part in EXPECTED.items():
    url = os.environ["API"] + path
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the chart's own address
            text = answer.read().decode()
    except OSError as error:
        sys.exit(f"{url}: {error}")
    if part not in text:
        sys.exit(f"{url}: expected {part!r} in {text[:200]!r}")
    print(f"{url}: as expected")
