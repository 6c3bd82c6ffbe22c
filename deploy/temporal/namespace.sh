#!/bin/sh
# Makes the namespace, and brings the retention of an existing one to ours. May be run at every boot.
# Search attributes are not made here but by `python -m admin bootstrap`, which knows their names.
set -eu
: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${RETENTION:?}"

# For each of the two waits. A start that needs longer is tried again by Compose.
max_wait_seconds=${MAX_WAIT_SECONDS:-90}

operator() {
    temporal operator "$@" --address "$TEMPORAL_ADDRESS" --command-timeout 5s
}

# Named each time: the tool does not take the namespace of these commands from the environment.
namespace() {
    operator namespace "$@" --namespace "$TEMPORAL_NAMESPACE"
}

is_healthy() {
    health=$(operator cluster health 2>&1) || { echo "$health"; return 1; }
    [ "$health" = SERVING ] || { echo "$health"; return 1; }
}

# The frontend hears of a new namespace only when it next looks.
is_known() {
    operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" 2>&1
}

# wait_until CHECK WHAT: says what is waited for at once, and every 10 s how it stands.
wait_until() {
    began=$(date +%s)
    next_line=10
    echo "waiting up to $max_wait_seconds s for $2"
    until answer=$("$1"); do
        waited=$(($(date +%s) - began))
        if [ "$waited" -ge "$max_wait_seconds" ]; then
            echo "gave up after $waited s waiting for $2; its last answer: $answer" >&2
            exit 1
        fi
        if [ "$waited" -ge "$next_line" ]; then
            next_line=$((next_line + 10))
            echo "still waiting after $waited s; the last answer: $answer"
        fi
        sleep 2
    done
}

wait_until is_healthy "Temporal at $TEMPORAL_ADDRESS"
if ! namespace describe >/dev/null 2>&1; then
    echo "making the namespace $TEMPORAL_NAMESPACE"
    namespace create --retention "$RETENTION"
fi
wait_until is_known "the namespace $TEMPORAL_NAMESPACE to be known"
namespace update --retention "$RETENTION"
echo "the namespace $TEMPORAL_NAMESPACE is ready"
