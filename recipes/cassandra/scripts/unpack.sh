#!/bin/sh
# Unpacks an archive of jars into a folder of its own. usage: unpack.sh TAR FOLDER
set -eu
tar=$1
folder=$2
sum=$(sha256sum <"$tar")
# What was unpacked before is written down, so that a second run changes nothing.
if [ "$(cat "$folder/.unpacked" 2>/dev/null)" = "$sum" ]; then
  exit 0
fi
# Beside it and then renamed: an interrupted run leaves no half of a folder, and no jar of an older version stays.
rm -rf "$folder.new"
mkdir -p "$folder.new"
tar -xf "$tar" -C "$folder.new" --no-same-owner
echo "$sum" >"$folder.new/.unpacked"
rm -rf "$folder"
mv "$folder.new" "$folder"
