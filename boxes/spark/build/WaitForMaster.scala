package rig

import java.net.{InetSocketAddress, Socket}

/** Starts a worker once a master listens.
  *
  * A worker that finds no master tries again after 5 to 15 s. Machines are started
  * together, so it would nearly always lose that race. Waiting in this JVM, and not in
  * the shell before it, lets the JVM load Spark meanwhile.
  *
  * The last argument names the masters, as for Worker: spark://HOST:PORT[,HOST:PORT...].
  */
object WaitForMaster {
  private val reportSeconds = 10

  def main(args: Array[String]): Unit = {
    val url = args.last
    val masters = url.stripPrefix("spark://").split(',').flatMap { master =>
      master.lastIndexOf(':') match {
        case -1 => None
        case n => scala.util.Try(master.substring(n + 1).toInt).toOption.map((master.substring(0, n), _))
      }
    }
    preload()
    // What cannot be understood is for Worker to complain about.
    if (masters.nonEmpty) {
      var reported = System.nanoTime
      while (!masters.exists { case (host, port) => listens(host, port) }) {
        Thread.sleep(25)
        if (System.nanoTime - reported > reportSeconds * 1000000000L) {
          reported = System.nanoTime
          System.err.println(s"worker: still waiting for a master at $url")
        }
      }
    }
    // By name: Scala sees Worker as private to Spark.
    Class.forName("org.apache.spark.deploy.worker.Worker").getMethod("main", classOf[Array[String]]).invoke(null, args)
  }

  private def listens(host: String, port: Int): Boolean = {
    // A new address each time: the name may not exist yet, and may change.
    val socket = new Socket
    try {
      socket.connect(new InetSocketAddress(host, port), 2000)
      true
    } catch {
      case _: java.io.IOException | _: java.nio.channels.UnresolvedAddressException => false
    } finally socket.close()
  }

  /** The slowest to load of what a worker needs; beside the waiting, so that it delays nothing. */
  private def preload(): Unit = {
    val thread = new Thread("preload") {
      override def run(): Unit =
        for (name <- Seq(
          "org.apache.spark.SparkConf",
          "org.apache.spark.internal.config.package$",
          "org.apache.spark.util.Utils$",
          "org.apache.spark.SecurityManager",
          "org.apache.hadoop.security.UserGroupInformation",
          "org.apache.spark.rpc.netty.NettyRpcEnvFactory",
          "io.netty.channel.epoll.EpollEventLoopGroup",
          "io.netty.buffer.PooledByteBufAllocator",
          "org.apache.spark.deploy.worker.ui.WorkerWebUI",
          "org.apache.spark.ui.JettyUtils$",
          "org.sparkproject.jetty.server.Server",
          "org.sparkproject.jetty.servlet.ServletContextHandler",
          "org.apache.spark.metrics.MetricsSystem",
          "org.apache.spark.network.shuffle.ExternalBlockHandler",
          "com.fasterxml.jackson.databind.ObjectMapper"
        )) try Class.forName(name) catch { case _: Throwable => }
    }
    thread.setDaemon(true)
    thread.start()
  }
}
