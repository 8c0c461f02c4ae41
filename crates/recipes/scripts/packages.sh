# Installs the packages that are given and not there yet, with whatever package manager the machine has.
if command -v apt-get >/dev/null; then
    missing=
    for package in "$@"; do
        plain=${package%%=*}
        state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$plain" 2>/dev/null) || state=
        [ "$state" = "ii " ] || missing="$missing $package"
    done
    [ -n "$missing" ] || exit 0
    export DEBIAN_FRONTEND=noninteractive
    # An installation that was cut leaves packages half configured, and apt refuses to go on until that is mended.
    dpkg --configure -a
    # A word on the lock: a machine's own timers may hold it for minutes after the start.
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    # shellcheck disable=SC2086 # names of packages hold no blanks
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends $missing
elif command -v apk >/dev/null; then
    apk info -e "$@" >/dev/null || apk add --no-cache "$@"
elif command -v dnf >/dev/null; then
    rpm -q "$@" >/dev/null || dnf install -y -q "$@"
else
    echo "this machine has neither apt-get, apk nor dnf" >&2
    exit 1
fi
