# Read by every script in bin/. The master's address comes from the environment of the
# container, so it cannot stand in spark-defaults.conf; spark-submit takes MASTER when
# neither --master nor spark.master is given.
MASTER=${MASTER:-${SPARK_MASTER_URL:-}}
[ -n "$MASTER" ] || unset MASTER
# The JVM that only composes the command line.
SPARK_LAUNCHER_OPTS=${SPARK_LAUNCHER_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto}
# A java that knows the archive of Spark's classes.
JAVA_HOME=${SPARK_HOME:-/opt/spark}/lib/java
