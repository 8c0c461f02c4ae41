#!/bin/sh
# A data folder of our own: the one of the package holds a link to its example.
set -eu
data=/var/lib/zookeeper/data
if [ ! -d "$data" ]; then mkdir -m 750 "$data"; fi
# A volume that is mounted there belongs to root at first.
if [ "$(stat -c %U "$data")" != zookeeper ]; then chown zookeeper:zookeeper "$data"; fi
