import com.datastax.driver.core.Cluster;
import com.datastax.driver.core.CodecRegistry;
import com.datastax.driver.core.ColumnDefinitions;
import com.datastax.driver.core.ConsistencyLevel;
import com.datastax.driver.core.DataType;
import com.datastax.driver.core.ProtocolVersion;
import com.datastax.driver.core.QueryOptions;
import com.datastax.driver.core.ResultSet;
import com.datastax.driver.core.Row;
import com.datastax.driver.core.Session;
import com.datastax.driver.core.SocketOptions;
import com.datastax.driver.core.TypeCodec;
import com.datastax.driver.core.exceptions.DriverException;
import com.datastax.driver.core.exceptions.NoHostAvailableException;
import com.datastax.driver.core.policies.FallthroughRetryPolicy;
import com.datastax.driver.core.policies.RoundRobinPolicy;
import com.datastax.driver.core.policies.WhiteListPolicy;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Runs CQL statements through one node, with the driver that is among Cassandra's own jars. Rows go to standard output, one a
 * line, values separated by tabs.
 *
 * <p>Exit codes: 0 all statements succeeded, 1 one failed (the rest is not run), 64 called wrongly, 69 the node does not answer.
 */
public final class Cql {
    private static final String USAGE =
        "usage: cql [--host ADDRESS] [--port PORT] [--consistency LEVEL] [--header] [STATEMENT...]\n"
        + "Without a statement they are read from standard input, separated by semicolons.";

    public static void main(String[] args) throws Exception {
        String host = "127.0.0.1";
        int port = 9042;
        boolean header = false;
        ConsistencyLevel consistency = ConsistencyLevel.ONE;
        List<String> statements = new ArrayList<>();
        try {
            for (int i = 0; i < args.length; i++) {
                switch (args[i]) {
                    case "--host": host = args[++i]; break;
                    case "--port": port = Integer.parseInt(args[++i]); break;
                    case "--consistency": consistency = level(args[++i]); break;
                    case "--header": header = true; break;
                    case "--help": System.out.println(USAGE); return;
                    default:
                        if (args[i].startsWith("--")) throw new IllegalArgumentException("no such option: " + args[i]);
                        statements.addAll(split(args[i]));
                }
            }
        } catch (ArrayIndexOutOfBoundsException e) {
            usage(args[args.length - 1] + " wants a value");
        } catch (IllegalArgumentException e) {
            usage(e.getMessage());
        }
        if (statements.isEmpty()) statements = split(new String(System.in.readAllBytes(), StandardCharsets.UTF_8));
        if (statements.isEmpty()) usage("no statement");
        System.exit(run(new InetSocketAddress(host, port), consistency, header, statements));
    }

    private static int run(InetSocketAddress node, ConsistencyLevel consistency, boolean header, List<String> statements) {
        Cluster cluster = Cluster.builder()
            .addContactPointsWithPorts(node)
            // This node and no other: what is asked is how the ring looks through it.
            .withLoadBalancingPolicy(new WhiteListPolicy(new RoundRobinPolicy(), List.of(node)))
            // The answer is the first one: nothing is tried again behind the user's back.
            .withRetryPolicy(FallthroughRetryPolicy.INSTANCE)
            // Without the schema of all tables it connects in half the time.
            .withQueryOptions(new QueryOptions().setConsistencyLevel(consistency).setMetadataEnabled(false))
            .withSocketOptions(new SocketOptions().setConnectTimeoutMillis(5000).setReadTimeoutMillis(30000))
            .withProtocolVersion(ProtocolVersion.V4)
            .withoutJMXReporting()
            .withoutMetrics()
            .build();
        Session session;
        try {
            session = cluster.connect();
        } catch (NoHostAvailableException e) {
            System.err.println("cql: no node answers on " + node.getHostString() + ":" + node.getPort());
            return 69;
        }
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String statement : statements) {
            try {
                print(session.execute(statement), header, out);
                out.flush();
            } catch (DriverException e) {
                out.flush();
                System.err.println("cql: " + e.getMessage());
                System.err.println("cql: in: " + statement);
                return 1;
            }
        }
        // No orderly close: the process ends, and the connections with it.
        return 0;
    }

    private static void print(ResultSet rows, boolean header, PrintStream out) {
        ColumnDefinitions columns = rows.getColumnDefinitions();
        if (columns.size() == 0) return;
        StringBuilder line = new StringBuilder();
        if (header) {
            for (ColumnDefinitions.Definition c : columns) line.append(line.length() == 0 ? "" : "\t").append(c.getName());
            out.println(line);
        }
        for (Row row : rows) {
            line.setLength(0);
            for (int i = 0; i < columns.size(); i++) line.append(i == 0 ? "" : "\t").append(text(row, i, columns.getType(i)));
            out.println(line);
        }
        // A conditional statement (IF …) that was not applied has failed only in its own terms: its row says so.
    }

    /** Text as it is, everything else as a CQL literal. */
    private static String text(Row row, int i, DataType type) {
        if (row.isNull(i)) return "null";
        if (type.equals(DataType.text()) || type.equals(DataType.varchar()) || type.equals(DataType.ascii())) return row.getString(i);
        TypeCodec<Object> codec = CodecRegistry.DEFAULT_INSTANCE.codecFor(type);
        return codec.format(row.get(i, codec));
    }

    /** Cuts at semicolons, but not inside quotes, $$…$$, comments or a batch. */
    static List<String> split(String text) {
        List<String> statements = new ArrayList<>();
        StringBuilder one = new StringBuilder();
        for (int i = 0; i < text.length();) {
            int end;
            if (text.startsWith("--", i) || text.startsWith("//", i)) {
                i = end(text, "\n", i, 0);
                one.append('\n');
                continue;
            } else if (text.startsWith("/*", i)) {
                i = end(text, "*/", i + 2, 2);
                one.append(' ');
                continue;
            } else if (text.startsWith("$$", i)) {
                end = end(text, "$$", i + 2, 2);
            } else if (text.charAt(i) == '\'' || text.charAt(i) == '"') {
                end = end(text, text.substring(i, i + 1), i + 1, 1);
            } else if (text.charAt(i) == ';') {
                String sofar = one.toString().strip();
                if (!sofar.matches("(?is)begin\\s.*\\bbatch\\b.*") || sofar.matches("(?is).*\\bapply\\s+batch")) {
                    if (!sofar.isEmpty()) statements.add(sofar);
                    one.setLength(0);
                    i++;
                    continue;
                }
                end = i + 1;
            } else {
                end = i + 1;
            }
            one.append(text, i, end);
            i = end;
        }
        if (!one.toString().isBlank()) statements.add(one.toString().strip());
        return statements;
    }

    private static int end(String text, String mark, int from, int length) {
        int at = text.indexOf(mark, from);
        return at < 0 ? text.length() : at + length;
    }

    private static ConsistencyLevel level(String name) {
        for (ConsistencyLevel level : ConsistencyLevel.values()) {
            if (level.name().equalsIgnoreCase(name)) return level;
        }
        throw new IllegalArgumentException("consistency levels are " + Arrays.toString(ConsistencyLevel.values()) + ", not " + name);
    }

    private static void usage(String problem) {
        System.err.println("cql: " + problem + "\n" + USAGE);
        System.exit(64);
    }
}
