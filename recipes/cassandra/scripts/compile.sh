#!/bin/sh
# Compiles one class that uses the driver among Cassandra's jars. usage: compile.sh SOURCE FOLDER
# Cassandra brings a Java compiler, for functions written in Java; a runtime is all that the machine needs.
set -eu
source=$1
folder=$2
cd /opt/cassandra/lib
sum=$(cat "$source" .unpacked | sha256sum)
if [ "$(cat "$folder/.compiled" 2>/dev/null)" = "$sum" ]; then
  exit 0
fi
rm -rf "$folder"
mkdir -p "$folder"
java -cp ecj-*.jar org.eclipse.jdt.internal.compiler.batch.Main -17 -d "$folder" \
  -cp "$(echo cassandra-driver-core-*.jar):$(echo guava-*.jar)" "$source"
echo "$sum" >"$folder/.compiled"
