# One place for Java, whatever the distribution calls it. Arguments: version.
home=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
case $home in
*"$1"*) ;;
*)
    echo "javac is of $home, not of version $1" >&2
    exit 1
    ;;
esac
[ "$(readlink /opt/java || true)" = "$home" ] || ln -sfn "$home" /opt/java
profile='export JAVA_HOME=/opt/java'
[ "$(cat /etc/profile.d/java.sh 2>/dev/null)" = "$profile" ] || echo "$profile" >/etc/profile.d/java.sh
