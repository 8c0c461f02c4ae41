import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;

/** Writes a JKS trust store with every certificate of a PEM bundle. */
public final class JavaCacerts {
    public static void main(String[] args) throws Exception {
        Path bundle = Path.of(args[0]);
        Path store = Path.of(args[1]);
        KeyStore keys = KeyStore.getInstance("JKS");
        keys.load(null, null);
        int count = 0;
        try (InputStream in = Files.newInputStream(bundle)) {
            for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                keys.setCertificateEntry("ca" + count++, c);
            }
        }
        if (count == 0) {
            System.err.println(bundle + ": no certificates");
            System.exit(1);
        }
        // A JVM that starts meanwhile must see the old store or the new one, never half of one.
        Path part = store.resolveSibling(store.getFileName() + ".part");
        Files.deleteIfExists(part);
        try (OutputStream out = Files.newOutputStream(part)) {
            keys.store(out, "changeit".toCharArray());
        }
        Files.move(part, store, StandardCopyOption.REPLACE_EXISTING);
        System.out.println(store + ": " + count + " certificates from " + bundle);
    }
}
