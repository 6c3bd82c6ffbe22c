#!/bin/sh
# Writes whose word nginx takes for a client's address, then becomes it. TLS_PROXIES is a list like 10.0.0.5,10.1.0.0/24.
set -eu
for proxy in $(echo "${TLS_PROXIES:-}" | tr , ' '); do
    echo "set_real_ip_from $proxy;"
done >/tmp/tls_proxies.conf
# Where nginx may not have the descriptors that its configuration asks for, it keeps what it began with: so all it may.
ulimit -S -n "$(ulimit -H -n)"
exec nginx -e /dev/stderr -c /etc/darkroom/nginx.conf -g "daemon off;"
