# Spark's commands for every user and every kind of session, also those that read no profile. Not links: Spark's scripts
# look for their home where they are called.
for name in spark-submit spark-shell spark-sql pyspark spark-scala-submit; do
    command=/usr/local/bin/$name
    text=$(printf '#!/bin/sh\nexec /opt/spark/bin/%s "$@"' "$name")
    # Writing through a link would change what it leads to.
    [ ! -L "$command" ] || rm "$command"
    [ "$(cat "$command" 2>/dev/null)" = "$text" ] || echo "$text" >"$command"
    [ -x "$command" ] || chmod 0755 "$command"
done
