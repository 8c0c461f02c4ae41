#!/bin/sh
# Write SPARK_HOME/lib/spark.jsa: the classes of a master, a worker, an executor and a
# driver, loaded and verified once at build, mapped by every JVM of the cluster later.
# The classes are those that a small cluster in this build step really loads.
set -eu
home=$1
mkdir -p /tmp/train
cd /tmp/train
java=/opt/java/bin/java
export SPARK_TRAIN=/tmp/train SPARK_SCALA_CACHE=/tmp/train/cache SPARK_MASTER_HOST=localhost SPARK_MASTER_URL=spark://localhost:7077
export SPARK_EXECUTOR_MEMORY=512m SPARK_DRIVER_MEMORY=512m SPARK_HOME="$home" SPARK_LOCAL_IP=127.0.0.1 PATH="$home/bin:$PATH" SPARK_LOCAL_DIRS=/tmp/train
export PYTHONPATH="$home/python"

fail() {
  echo "classes.sh: $1" >&2
  tail -n 20 /tmp/train/*.log >&2
  exit 1
}
# until FILE has TEXT, at most a minute
await() {
  n=0
  until grep -q "$2" "$1" 2>/dev/null; do
    n=$((n + 1))
    [ "$n" -lt 600 ] || fail "no '$2' in $1"
    sleep 0.1
  done
}

"$home/sbin/entrypoint" master >master.log 2>&1 &
master=$!
SPARK_WORKER_CORES=1 SPARK_WORKER_MEMORY=600m "$home/sbin/entrypoint" worker --work-dir /tmp/train/work >worker.log 2>&1 &
worker=$!
await worker.log 'Successfully registered'

cat >Train.scala <<'SCALA'
import org.apache.spark.sql.SparkSession
object Train {
  def main(args: Array[String]): Unit = {
    val spark = SparkSession.builder.getOrCreate()
    val sc = spark.sparkContext
    println(sc.parallelize(1 to 100, 4).map(n => (n % 3, n)).reduceByKey(_ + _).collect().toSeq)
    // The user interface and the master's page are looked at in nearly every session.
    for (url <- Seq("http://localhost:8080/json/", "http://localhost:8080/", "http://localhost:8081/") ++ sc.uiWebUrl)
      scala.io.Source.fromURL(url).mkString
    spark.stop()
  }
}
SCALA
cat >train.py <<'PYTHON'
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.sparkContext.parallelize(range(10), 2).map(lambda n: n * 2).sum())
spark.stop()
PYTHON
timeout 120 "$home/bin/spark-scala-submit" Train.scala >scala.log 2>&1 || fail "the Scala job ended with $?"
timeout 120 "$home/bin/spark-submit" train.py >python.log 2>&1 || fail "the Python job ended with $?"
kill "$worker" "$master"
wait "$worker" "$master" || :

# The list keeps the order of first use, JDK classes first.
cat /tmp/train/*.classes | awk '!seen[$0]++' >/tmp/train/all.list
"$java" -Xshare:dump -Xmx1g -XX:+UseSerialGC -XX:SharedClassListFile=/tmp/train/all.list \
  -XX:SharedArchiveFile="$home/lib/spark.jsa" -cp "$(cat "$home/lib/classpath")" >dump.log 2>&1 || fail 'the dump failed'
wc -l /tmp/train/*.classes
ls -l "$home/lib/spark.jsa"
rm -rf /tmp/train
