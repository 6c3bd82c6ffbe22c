#!/bin/sh
# Makes the namespace, and brings the retention of an existing one to ours. May be run at every boot.
# Search attributes are not made here but by `python -m admin bootstrap`, which knows their names.
set -eu
: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${RETENTION:?}"

operator() {
    temporal operator "$@" --address "$TEMPORAL_ADDRESS" --command-timeout 10s
}

# Named each time: the tool does not take the namespace of these commands from the environment.
namespace() {
    operator namespace "$@" --namespace "$TEMPORAL_NAMESPACE"
}

is_healthy() {
    [ "$(operator cluster health)" = SERVING ]
}

# The frontend hears of a new namespace only when it next looks.
is_known() {
    operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"
}

wait_until() {
    looks_left=60
    until "$1" >/dev/null 2>&1; do
        looks_left=$((looks_left - 1))
        if [ "$looks_left" -eq 0 ]; then
            echo "gave up waiting for Temporal at $TEMPORAL_ADDRESS: $1" >&2
            exit 1
        fi
        sleep 2
    done
}

wait_until is_healthy
if ! namespace describe >/dev/null 2>&1; then
    namespace create --retention "$RETENTION"
fi
wait_until is_known
namespace update --retention "$RETENTION"
