#!/bin/sh
# Brings Temporal's two databases to the schema of this image's version. May be run at every boot.
# temporal-sql-tool reads SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD from the environment.
set -eu

folder=${SCHEMA_FOLDER:-/etc/temporal/schema/postgresql/v12}

update() {
    temporal-sql-tool --db "$1" update-schema -d "$folder/$2/versioned"
}

prepare() {
    # A database without version tables refuses the update. Only then are they made: in one that has them,
    # they would be set back to 0.0 by some versions of the tool, and every update run again.
    if update "$1" "$2"; then
        return
    fi
    echo "$1 cannot be updated as it is; if it has no schema yet, it gets one now" >&2
    temporal-sql-tool --db "$1" setup-schema -v 0.0
    update "$1" "$2"
}

prepare temporal temporal
prepare temporal_visibility visibility
echo "both schemas are up to date"
