#!/bin/sh
# The user that runs the node, and the one folder where it writes.
set -eu
data=/var/lib/cassandra
if ! getent passwd cassandra >/dev/null; then
  useradd --system --user-group --home-dir /opt/cassandra --no-create-home --shell /usr/sbin/nologin cassandra
fi
if [ ! -d "$data" ]; then mkdir -m 750 "$data"; fi
# A volume that is mounted there belongs to root at first.
if [ "$(stat -c %U "$data")" != cassandra ]; then chown cassandra:cassandra "$data"; fi
