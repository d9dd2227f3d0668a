# Every command of the project. Needs git, make and Python 3.11; all else goes into .venv (tools/install.sh).
SHELL := /bin/sh
BIN := .venv/bin
B ?=
I ?=
T ?=
L ?=
KEEP ?=

.DEFAULT_GOAL := help
.PHONY: help install run demo check static unit test test-deps images docs compose proto package sbom audit bench load fmt lock clean

help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install:  ## Make .venv with everything for working on Muster
	@tools/install.sh dev

run:  ## Install what is needed, start Redis, webapi and matchmaker, print one URL
	@tools/install.sh run
	@exec $(BIN)/muster up

demo:  ## Send 100 bots over UDP, TCP and WebSocket through the running stack, or one of its own
	@tools/install.sh run
	@exec $(BIN)/muster demo

check: install static unit  ## The inner loop, under a minute: format, lint, types, layers, style, unit tests

static: install
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: make fmt" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@mkdir -p .cache
	@$(BIN)/lint-imports --no-logo >.cache/layers.log 2>&1 || { cat .cache/layers.log; exit 1; }
	@$(BIN)/python -m tests.tidy

unit: install
	@$(BIN)/python -m pytest -q tests/unit tests/test_tidy.py

test: install test-deps static  ## Install what the tests need, then check and every test; T='--lane stack' or T=tests/e2e
	@tools/test.sh $(T)

test-deps: install
	@tools/install-test-deps.sh
	@# Minutes where nothing is cached: said here, not in the middle of a test. The cluster needs root, and is skipped without.
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/python -m tests.cluster build; fi

images: install  ## Build the images on the Docker daemon of DOCKER_HOST, with a registry or without
	@$(BIN)/python -m tools.build_images

docs: install  ## Draw the pages that are made from code
	@$(BIN)/python -m tools.draw_lifecycles
	@$(BIN)/python -m tools.draw_settings
	@$(BIN)/python -m tools.draw_events
	@$(BIN)/python -m tools.draw_metrics
	@$(BIN)/python -m tools.draw_rules
	@$(BIN)/python -m tools.draw_chart
	@$(BIN)/python -m tools.draw_scale
	@$(BIN)/python -m tools.draw_bench
	@$(BIN)/python -m tools.licences

compose: install  ## Draw what compose.yaml takes from the chart, with a Helm that is compiled once
	@$(BIN)/python -m tools.draw_compose

proto: install  ## Make the modules of the sidecar's gRPC messages from their .proto files
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. gamepod/sdk/proto/*.proto

package: install  ## Build sdist and wheel into dist/, and try the wheel in an environment of its own
	@tools/smoke-package.sh dist

sbom: install  ## Write bills of materials into sbom/, of the package and of images: I='muster/service:0.1.0 ...'
	@$(BIN)/python -m tools.sbom $(I)

audit: install  ## Ask an advisory service about what the locks name; it fails where none is reached
	@tools/audit.sh

bench: install  ## Measure the promises; B=webapi runs that one only, KEEP=1 keeps what it finds in bench/results
	@$(BIN)/python -m bench $(if $(KEEP),--keep) $(B)

load: install  ## A load test with locust and bots, with a report; L='--users 200 --bots 50 --url https://...'
	@$(BIN)/python -m bench.loadtest $(L)

fmt: install  ## Format, and fix what the linter can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix .

lock: install  ## Bring the locks up to date: versions and hashes, no URLs
	@tools/lock.sh

clean:  ## Remove what was installed and cached; .data (accounts, boards) stays
	rm -rf .venv .cache build dist sbom *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
