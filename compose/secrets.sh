#!/bin/sh
# compose/secrets.sh: draw the secrets that compose.yaml asks for into .env beside it, readable by its owner only.
#
# What .env has already is kept, for a new MUSTER_SECRET logs everybody out, and what Redis, RabbitMQ and Grafana took
# with their volumes cannot be told to them again. So running it twice changes nothing.
set -eu
umask 077
file=${1:-$(dirname "$0")/../.env}
touch "$file"
chmod 600 "$file"

drawn() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

add() { # NAME VALUE
    grep -q "^$1=" "$file" && return
    # A last line without its end would become one with ours.
    [ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
    printf '%s=%s\n' "$1" "$2" >>"$file"
    echo "  $1" >&2
}

echo "secrets drawn into $file:" >&2
add MUSTER_SECRET "$(drawn 32)"
add REDIS_PASSWORD "$(drawn 32)"
add MUSTER_ADMIN_NAME admin
add MUSTER_ADMIN_PASSWORD "$(drawn 16)"
add RABBITMQ_USER muster
add RABBITMQ_PASSWORD "$(drawn 32)"
add GRAFANA_PASSWORD "$(drawn 16)"
