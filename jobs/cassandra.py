"""Write rows into Cassandra from Spark, read them back, and compare what arrived with what was sent.

usage: cassandra.py HOSTS [ROWS]     HOSTS: names of nodes, separated by commas

Needs the connector's jars on the class path of driver and executors. Ends with a code other than 0 when the sums differ or
the cluster gives no executor.
"""
import os
import sys
import threading

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

PATIENCE_SECONDS = 60
KEYSPACE = "rig_spark"
TABLE = "numbers"


def give_up():
    print(f"cassandra.py: no executor within {PATIENCE_SECONDS} s; has the cluster a live worker?", file=sys.stderr)
    # Spark would wait for ever, and its threads keep the process alive.
    os._exit(1)


def main():
    hosts = sys.argv[1]
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    spark = (
        SparkSession.builder.appName("spark-cassandra")
        .config("spark.cassandra.connection.host", hosts)
        .config("spark.cassandra.output.consistency.level", "QUORUM")
        .config("spark.cassandra.input.consistency.level", "QUORUM")
        .getOrCreate()
    )
    watch = threading.Timer(PATIENCE_SECONDS, give_up)
    watch.daemon = True
    watch.start()
    spark.sparkContext.parallelize([1], 1).count()
    watch.cancel()

    connector = spark._jvm.com.datastax.spark.connector.cql.CassandraConnector.apply(spark.sparkContext._jsc.sc().conf())
    session = connector.openSession()
    session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} "
        "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    session.execute(f"CREATE TABLE IF NOT EXISTS {KEYSPACE}.{TABLE} (id bigint PRIMARY KEY, square bigint)")
    session.execute(f"TRUNCATE {KEYSPACE}.{TABLE}")
    session.close()

    table = {"keyspace": KEYSPACE, "table": TABLE}
    sent = spark.range(rows).select("id", (f.col("id") * f.col("id")).alias("square"))
    sent.write.format("org.apache.spark.sql.cassandra").options(**table).mode("append").save()
    read = spark.read.format("org.apache.spark.sql.cassandra").options(**table).load()
    count, total = read.agg(f.count("*"), f.sum("square")).first()
    expected = (rows - 1) * rows * (2 * rows - 1) // 6
    if (count, total) != (rows, expected):
        print(f"sent {rows} rows with the sum {expected}, read {count} with {total}", file=sys.stderr)
        sys.exit(1)
    print(f"{count} rows were written and read back, the sum of their squares is {total}")
    spark.stop()


if __name__ == "__main__":
    main()
