#!/bin/sh
# What PostgreSQL's image does at its first boot, as far as the set uses it: a data folder with a password, and the SQL
# files of /docker-entrypoint-initdb.d by a server that listens on a socket only.
set -eu
: "${POSTGRES_PASSWORD:?}"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    initdb --pgdata "$PGDATA" --username postgres --pwfile "$password" --auth-local trust --auth-host scram-sha-256
    rm "$password"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl --pgdata "$PGDATA" --options "-c listen_addresses=''" --wait --timeout 60 start
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --username postgres --no-password --no-psqlrc --dbname postgres --file "$file"
    done
    pg_ctl --pgdata "$PGDATA" --mode fast --wait --timeout 60 stop
fi
exec "$@" -c listen_addresses='*'
