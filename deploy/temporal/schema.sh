#!/bin/sh
# Brings Temporal's two databases to the schema of this image's version. May be run at every boot.
# temporal-sql-tool reads SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD from the environment.
set -eu

folder=${SCHEMA_FOLDER:-/etc/temporal/schema/postgresql/v12}

# What a command printed is shown, and kept to see why it failed.
tool() {
    status=0
    printed=$(temporal-sql-tool "$@" 2>&1) || status=$?
    [ -z "$printed" ] || printf '%s\n' "$printed"
    return "$status"
}

update() {
    tool --db "$1" update-schema -d "$folder/$2/versioned"
}

explain_and_exit() {
    case $printed in
        *btree_gin*)
            echo "$1: this PostgreSQL does not let us have its extension btree_gin, which Temporal's visibility" \
                "needs: install PostgreSQL's contrib modules, or have an administrator run" \
                "CREATE EXTENSION btree_gin in the database $1" >&2 ;;
        *28P01* | *28000*)
            echo "$1: PostgreSQL at $SQL_HOST refuses the user $SQL_USER or its password" >&2 ;;
        *3D000*)
            echo "$1: there is no such database at $SQL_HOST; deploy/postgres/databases.sql makes it" >&2 ;;
        *)
            echo "$1: the schema could not be updated; PostgreSQL's answer is above" >&2 ;;
    esac
    exit 1
}

prepare() {
    echo "$1: looking for a schema to update"
    if update "$1" "$2"; then
        return
    fi
    case $printed in
        *'relation "schema_version" does not exist'* | *'relation \"schema_version\" does not exist'*) ;;
        *) explain_and_exit "$1" ;;
    esac
    # Only a database without version tables gets them: in one that has them, they would be set back to 0.0 by some
    # versions of the tool, and every update run again.
    echo "$1: has no schema yet, and gets one now"
    tool --db "$1" setup-schema -v 0.0 || explain_and_exit "$1"
    update "$1" "$2" || explain_and_exit "$1"
}

prepare temporal temporal
prepare temporal_visibility visibility
echo "both schemas are up to date"
