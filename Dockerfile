# Two images, both run as a fixed user without rights and with a root file system that may be read-only (/tmp may not):
#   gamepod   one per match: the built-in arena, or the sidecar of a game image
#   service   `webapi`, `matchmaker` and `gamepod worker`; the argument says which
#
#   docker build --target service -t muster/service:0.1.0 .
#
# Without a registry or an index, a base image and a folder of wheels replace them; `make images` brings both:
#   docker build --build-arg BASE_IMAGE=my/python --build-arg PIP_ARGS="--no-index --find-links wheelhouse" ...
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
# Bytecode is checked against nothing: it comes with its source, and a read-only container could not renew it.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    INSTALL="python3 -m pip install --quiet --no-compile --require-hashes --target /opt/muster" \
    COMPILE="python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s / -p /"
# The lock stands beside the wheels because a COPY of nothing, where there are none, is an error to some builders.
COPY locks/gamepod.txt locks/service.txt wheelhouse* ./wheelhouse/

FROM build AS gamepod-files
ARG PIP_ARGS=""
RUN ${INSTALL} ${PIP_ARGS} -r wheelhouse/gamepod.txt
COPY core /opt/muster/core
COPY gamepod /opt/muster/gamepod
RUN ${COMPILE} /opt/muster

FROM build AS service-files
ARG PIP_ARGS=""
RUN ${INSTALL} ${PIP_ARGS} -r wheelhouse/service.txt
COPY pyproject.toml /opt/muster/pyproject.toml
COPY core /opt/muster/core
COPY gamepod /opt/muster/gamepod
COPY matchmaker /opt/muster/matchmaker
COPY webapi /opt/muster/webapi
RUN ${COMPILE} /opt/muster

FROM ${BASE_IMAGE} AS base
ENV PYTHONPATH=/opt/muster PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /tmp
# A number, for Kubernetes can tell only of a number that it is not root.
USER 65532:65532
ENTRYPOINT ["python3", "-m"]

FROM base AS gamepod
# Inside a container loopback reaches nobody, and the network is the container's own.
# Memory that is free is given back from 128 KB on: 2 to 4 MB less in a match of a hundred (see the process launcher).
ENV MUSTER_BIND=0.0.0.0 MUSTER_METRICS_BIND=0.0.0.0 MUSTER_RUN_DIR=/tmp MALLOC_TRIM_THRESHOLD_=131072
COPY --from=gamepod-files /opt/muster /opt/muster
CMD ["gamepod"]

FROM base AS service
ENV MUSTER_WEBAPI_HOST=0.0.0.0 MUSTER_WEBAPI_METRICS_HOST=0.0.0.0 MUSTER_MATCHMAKER_METRICS_HOST=0.0.0.0 \
    MUSTER_WORKER_METRICS_HOST=0.0.0.0
COPY --from=service-files /opt/muster /opt/muster
EXPOSE 22548 22550 8000 8002 8003
CMD ["webapi"]
