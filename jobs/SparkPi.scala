import java.util.SplittableRandom

import scala.math.{max, min}

import org.apache.spark.sql.SparkSession

/** Estimates pi by throwing points at the unit square.
  *
  * usage: SparkPi [SLICES]
  *
  * Ends with a code other than 0 when the cluster gives no executor within 20
  * seconds, or as many as the variable EXECUTOR_PATIENCE_SECONDS says; by itself
  * Spark would wait for one for ever.
  */
object SparkPi {
  private val patienceSeconds =
    sys.env.get("EXECUTOR_PATIENCE_SECONDS").flatMap(text => scala.util.Try(text.toInt).toOption).getOrElse(20)
  // Enough points for three true digits with few slices, not more work than minutes with many.
  private val fewestPoints = 50L * 1000 * 1000
  private val pointsPerSlice = 100L * 1000

  def main(args: Array[String]): Unit = {
    val slices = args.headOption match {
      case None => 2
      case Some(text) =>
        scala.util.Try(text.toInt).toOption match {
          case Some(n) if n > 0 => n
          case _ => fail(64, s"SLICES is a positive number, not '$text'")
        }
    }
    val started = System.nanoTime
    // Runs before the context exists, because connecting to a dead master blocks for a minute.
    val alarm = new Alarm(patienceSeconds)
    alarm.start()
    val spark = SparkSession.builder.appName("SparkPi").getOrCreate()
    val sc = spark.sparkContext
    alarm.asked = s"${sc.master}, executors with ${sc.getConf.get("spark.executor.memory", sys.env.getOrElse("SPARK_EXECUTOR_MEMORY", "1g"))}"
    // The driver counts as one of them.
    while (!sc.isLocal && sc.statusTracker.getExecutorInfos.length < 2) {
      if (sc.isStopped) fail(1, "the cluster gave this job up; the master's and workers' logs say why")
      Thread.sleep(50)
    }
    alarm.off()

    val points = min(max(pointsPerSlice, fewestPoints / slices), Int.MaxValue.toLong * 2 / slices)
    val inside = sc
      .parallelize(0 until slices, slices)
      .map { slice =>
        // Seeded by the slice, so that a result can be repeated.
        val random = new SplittableRandom(slice)
        var hits = 0L
        var i = 0L
        while (i < points) {
          val x = random.nextDouble
          val y = random.nextDouble
          if (x * x + y * y <= 1) hits += 1
          i += 1
        }
        hits
      }
      .reduce(_ + _)
    println(s"Pi is roughly ${4.0 * inside / (points * slices)}")
    println(f"$slices slices of $points points in ${(System.nanoTime - started) / 1e9}%.1f s")
    spark.stop()
  }

  private def fail(code: Int, message: String): Nothing = {
    System.err.println(s"SparkPi: $message")
    sys.exit(code)
  }

  private class Alarm(seconds: Int) extends Thread("no-executor-alarm") {
    @volatile var asked = "no master answered"
    @volatile private var quiet = false

    setDaemon(true)

    def off(): Unit = quiet = true

    override def run(): Unit = {
      Thread.sleep(seconds * 1000L)
      if (!quiet) {
        System.err.println(
          s"SparkPi: no executor within $seconds s ($asked): is the master up, has it a live worker, " +
            "and has the worker that much memory and a core free?")
        // Not exit: stopping the context waits for the master that does not answer.
        Runtime.getRuntime.halt(1)
      }
    }
  }
}
