#!/bin/sh
# Makes docker/secrets/ once: random passwords, and the URLs and server files that hold them. Keeps existing secrets.
set -eu
umask 077
folder="${1:-$(dirname "$0")/secrets}"
mkdir -p "$folder"
if [ -e "$folder/database_url" ]; then
    echo "$folder exists already; remove it to make new secrets" >&2
    exit 0
fi
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
postgres=$(random)
redis=$(random)
printf '%s' "$postgres" > "$folder/postgres_password"
printf 'requirepass %s\n' "$redis" > "$folder/redis.conf"
printf 'postgresql://eat:%s@postgres:5432/eat' "$postgres" > "$folder/database_url"
printf 'redis://:%s@redis:6379/0' "$redis" > "$folder/broker_url"
random > "$folder/message_key"
random > "$folder/endpoint_key"
# Containers run as other users and read these files through a mount; the folder's mode keeps other users out.
chmod 444 "$folder"/*
chmod 700 "$folder"
