#!/bin/sh
# Write /opt/cassandra/cassandra.jsa: the classes of a node, of nodetool and of cql, loaded and verified once at build and
# mapped by every JVM later. They are those that a node in this build step really loads.
set -eu
train=/tmp/train
mkdir -p "$train"
# With an archive from before, the JVM would not write down what comes from it.
rm -f /opt/cassandra/cassandra.jsa
export CASSANDRA_TRAIN="$train" CASSANDRA_CONF=/tmp/train/conf CASSANDRA_LISTEN_ADDRESS=127.0.0.1 CASSANDRA_RING_DELAY_MS=1000

fail() {
  echo "classes.sh: $1" >&2
  tail -n 30 "$train"/*.log >&2
  exit 1
}

/opt/cassandra/sbin/entrypoint >"$train/node.log" 2>&1 &
node=$!
n=0
until grep -q 'Startup complete' "$train/node.log"; do
  n=$((n + 1))
  [ "$n" -lt 1200 ] || fail 'the node does not start'
  kill -0 "$node" 2>/dev/null || fail 'the node ended'
  sleep 0.1
done
cql --consistency QUORUM "
  CREATE KEYSPACE train WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
  CREATE TABLE train.t (k int PRIMARY KEY, v text, m map<text, int>, at timestamp);
  INSERT INTO train.t (k, v, m, at) VALUES (1, 'one', {'a': 1}, toTimestamp(now()));
  SELECT * FROM train.t; SELECT count(*) FROM train.t; DROP KEYSPACE train" >"$train/cql.log" 2>&1 || fail 'cql failed'
ring-status 1 >"$train/ring.log" 2>&1 || fail 'ring-status failed'
kill "$node"
wait "$node" || :

cat "$train"/*.classes | awk '!seen[$0]++' >"$train/all.list"
unset CASSANDRA_TRAIN
# The jars alone, the last -cp counts: an archive stands no folder on its class path, but fits a longer path that begins like it.
/opt/cassandra/bin/cassandra-java @/opt/cassandra/conf/java17.options -Xshare:dump -Xmx1g -XX:+UseSerialGC \
  -cp "$(printf '%s:' /opt/cassandra/lib/*.jar | sed 's/:$//')" -XX:SharedClassListFile="$train/all.list" -XX:SharedArchiveFile=/opt/cassandra/cassandra.jsa >"$train/dump.log" 2>&1 || fail 'the dump failed'
wc -l "$train"/*.classes
ls -l /opt/cassandra/cassandra.jsa
rm -rf "$train" /var/lib/cassandra/*
