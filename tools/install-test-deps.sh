#!/bin/sh
# tools/install-test-deps.sh: the Debian packages that the tests need beside .venv: Redis 7.0, a browser, Nginx, Node.js with
# npm, which checks the syntax of the page's modules and runs a game of Agones', Prometheus, whose promtool tries out the
# alerts, libfaketime, which sets the clock of a Redis, a C# compiler for the snippets of the docs, one of C for an example,
# RabbitMQ and what publishes to it from a shell, Java with Maven, which brings Apache Kafka, wget, which images'
# health checks call, and Podman.
#
# As root, or with sudo that asks for no password, it installs what is missing. Without either it names it and fails
# where CI=true; elsewhere the tests that need it are skipped and say so.
set -eu

missing=
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing="$missing nginx libnginx-mod-stream"
command -v mcs >/dev/null || missing="$missing mono-mcs libmono-system-net-http4.0-cil"
command -v promtool >/dev/null || missing="$missing prometheus"
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing="$missing rabbitmq-server"
command -v amqp-publish >/dev/null || missing="$missing amqp-tools"
command -v wget >/dev/null || missing="$missing wget"
command -v java >/dev/null || missing="$missing default-jre-headless"
command -v mvn >/dev/null || missing="$missing maven"
[ -x /usr/lib/podman/netavark ] && [ -x /usr/libexec/podman/catatonit ] && command -v podman >/dev/null ||
  missing="$missing podman netavark aardvark-dns catatonit iptables"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=none
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
    echo "muster: the tests also need:$missing (here they would be installed with apt-get, by root)" >&2
    [ "${CI:-}" != true ] && exit 0
    exit 1
fi

echo "  installing$missing"
log=$(mktemp)
# shellcheck disable=SC2086 # words on purpose
{
    $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
} >"$log" 2>&1 || { tail -30 "$log" >&2; exit 1; }
rm -f "$log"

# The packages start servers of their own; the tests start theirs on free ports and those would only be in the way.
for service in redis-server nginx prometheus rabbitmq-server; do
    case $missing in *"$service"*) ;; *) continue ;; esac
    if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
        $as_root systemctl disable --quiet --now "$service"
    else
        $as_root service "$service" stop >/dev/null 2>&1 || true
    fi
    # RabbitMQ leaves the name server of its Erlang behind, on every address; it stays where another node is known to it.
    [ "$service" != rabbitmq-server ] || $as_root epmd -kill >/dev/null 2>&1 || true
done
