#!/bin/sh
# Takes native libraries of other systems and processors out of the jars. usage: trim.sh FOLDER-OF-JARS
set -eu
cd "$1"
case $(uname -m) in
x86_64)
  other=aarch_64
  zstd=amd64 lz4=amd64 snappy=x86_64 jna=x86-64 jffi=x86_64
  ;;
aarch64)
  other=x86_64
  zstd=aarch64 lz4=aarch64 snappy=aarch64 jna=aarch64 jffi=aarch64
  ;;
*) exit 0 ;;
esac
rm -f netty-*-linux-"$other".jar
# only JAR KEPT-FOLDER PATTERN...: of the entries that match, leave those of one folder.
only() {
  jar=$1
  kept=$2
  shift 2
  zip -q -d "$jar" "$@" -x "$kept/*"
}
only zstd-jni-*.jar "linux/$zstd" '*.so' '*.dylib' '*.dll'
only lz4-java-*.jar "net/jpountz/util/linux/$lz4" '*.so' '*.dylib'
only snappy-java-*.jar "org/xerial/snappy/native/Linux/$snappy" 'org/xerial/snappy/native/*'
only jna-5*.jar "com/sun/jna/linux-$jna" '*.so' '*.dll' '*.jnilib' '*.a'
only jffi-*-native.jar "jni/$jffi-Linux" 'jni/*'
