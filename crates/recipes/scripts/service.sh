# Installs a service with the machine's init (systemd, s6 or runit), so that it comes back when the machine is restarted,
# and starts it anew. Arguments: name, user, program and its arguments; RIG_SERVICE_ENV holds lines NAME='value'.
name=$1 user=$2
shift 2

# A word as it stands in a shell line.
quote() {
    printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}
# Writes standard input to a file unless that holds it already: a second run changes nothing.
put() {
    # Nobody may read it before its mode is set: it may hold secrets.
    (umask 077 && cat >"$2.rig-new")
    chmod "$1" "$2.rig-new"
    if cmp -s "$2.rig-new" "$2"; then rm "$2.rig-new"; else mv -f "$2.rig-new" "$2"; fi
}
line=
for word in "$@"; do line="$line $(quote "$word")"; done

mkdir -p /etc/rig/services
# Its values may be secret.
printf '%s' "${RIG_SERVICE_ENV:-}" | put 0600 "/etc/rig/services/$name.env"
{
    echo '#!/bin/sh'
    echo 'exec 2>&1'
    echo 'set -a'
    echo ". /etc/rig/services/$name.env"
    echo 'set +a'
    if [ "$user" = root ]; then
        printf 'exec%s\n' "$line"
    else
        # setpriv is part of every Debian; it does not read a profile as su does.
        echo "HOME=\$(getent passwd $user | cut -d: -f6)"
        echo 'export HOME'
        printf 'exec setpriv --reuid=%s --regid="$(id -g %s)" --init-groups --%s\n' "$user" "$user" "$line"
    fi
} | put 0755 "/etc/rig/services/$name"

# Says why a service that was just started is not there any more.
ended() {
    echo "service $name ended right after its start:" >&2
    tail -n 20 "$1" >&2 || true
    exit 1
}

if [ -d /run/systemd/system ]; then
    {
        echo '[Unit]'
        echo "Description=$name, installed by rig"
        echo 'After=network-online.target'
        echo '[Service]'
        echo "ExecStart=/etc/rig/services/$name"
        echo 'Restart=always'
        echo 'RestartSec=2'
        echo '[Install]'
        echo 'WantedBy=multi-user.target'
    } | put 0644 "/etc/systemd/system/$name.service"
    systemctl daemon-reload
    systemctl enable --quiet "$name"
    systemctl restart "$name"
    sleep 1
    systemctl is-active --quiet "$name" || {
        echo "service $name ended right after its start:" >&2
        journalctl --no-pager -n 20 -u "$name" >&2
        exit 1
    }
elif command -v s6-svscanctl >/dev/null && [ -d /etc/s6 ]; then
    dir=/etc/s6/$name
    mkdir -p "$dir/log" "/var/log/$name"
    printf '#!/bin/sh\nexec /etc/rig/services/%s\n' "$name" | put 0755 "$dir/run"
    # Ten files of 1 MB; nothing grows without end.
    printf '#!/bin/sh\nexec s6-log n10 s1000000 /var/log/%s\n' "$name" | put 0755 "$dir/log/run"
    if s6-svok "$dir" 2>/dev/null; then
        # Down first, all of it: ports and locks of the old process are free then.
        s6-svc -wD -T 60000 -d "$dir"
        s6-svc -u "$dir"
    else
        s6-svscanctl -a /etc/s6
        tries=0
        until s6-svok "$dir" 2>/dev/null; do
            tries=$((tries + 1))
            [ "$tries" -lt 100 ] || { echo "the machine's s6 does not take $dir up" >&2; exit 1; }
            sleep 0.1
        done
    fi
    sleep 1
    s6-svstat -o up "$dir" | grep -q true || ended "/var/log/$name/current"
elif command -v runsvdir >/dev/null && [ -d /etc/service ]; then
    dir=/etc/sv/$name
    mkdir -p "$dir/log" "/var/log/$name"
    printf '#!/bin/sh\nexec /etc/rig/services/%s\n' "$name" | put 0755 "$dir/run"
    printf '#!/bin/sh\nexec svlogd /var/log/%s\n' "$name" | put 0755 "$dir/log/run"
    [ -L "/etc/service/$name" ] || ln -s "$dir" "/etc/service/$name"
    # runsvdir looks every five seconds.
    tries=0
    until [ -p "$dir/supervise/ok" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "the machine's runit does not take $dir up" >&2; exit 1; }
        sleep 0.1
    done
    sv -w 60 restart "$dir" >/dev/null
    sleep 1
    sv status "$dir" | grep -q '^run' || ended "/var/log/$name/current"
else
    echo "this machine has no init that rig knows: systemd, s6 with /etc/s6, or runit with /etc/service" >&2
    exit 1
fi
