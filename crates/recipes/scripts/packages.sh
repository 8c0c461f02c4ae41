# Installs the packages that are given and not there yet, with whatever package manager the machine has.
if command -v apt-get >/dev/null; then
    missing=
    for package in "$@"; do
        plain=${package%%=*}
        state=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$plain" 2>/dev/null) || state=
        case $package in
        *=*) wanted="ii ${package#*=}" ;;
        *) wanted="ii ${state#ii }" ;;
        esac
        [ -n "$state" ] && [ "$state" = "$wanted" ] || missing="$missing $package"
    done
    [ -n "$missing" ] || exit 0
    export DEBIAN_FRONTEND=noninteractive
    # A machine's own timers may hold the locks for minutes after the start, and mirrors fail now and then.
    again() {
        tries=0
        until "$@"; do
            tries=$((tries + 1))
            [ "$tries" -lt 6 ] || return 1
            sleep 5
        done
    }
    # An installation that was cut leaves packages half configured, and apt refuses to go on until that is mended.
    [ -z "$(dpkg --audit)" ] || again dpkg --configure -a
    # One that was cut while it was laid out can only be taken away; what is wanted of it is installed again below.
    cut=$(dpkg-query -W -f '${db:Status-Eflag} ${Package}\n' | sed -n 's/^reinstreq //p')
    # shellcheck disable=SC2086 # names of packages hold no blanks
    [ -z "$cut" ] || dpkg --remove --force-remove-reinstreq --force-depends $cut
    again apt-get -qq -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any update
    # shellcheck disable=SC2086 # names of packages hold no blanks
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends --allow-downgrades $missing
elif command -v apk >/dev/null; then
    apk info -e "$@" >/dev/null || apk add --no-cache "$@"
elif command -v dnf >/dev/null; then
    rpm -q "$@" >/dev/null || dnf install -y -q "$@"
else
    echo "this machine has neither apt-get, apk nor dnf" >&2
    exit 1
fi
