//! What a running machine is told that could not be told before: a program of a POSIX shell with the tools of BusyBox or more.

use jiff::Timestamp;
use rig_provider_api::Briefing;
use rig_ssh::quote;
use std::fmt::Write;

/// Arguments: the time in seconds since 1970. What stood still has a late clock; a login may take some seconds.
const CLOCK: &str = r#"
clock() {
    late=$(($1 - $(date +%s)))
    [ "${late#-}" -lt 10 ] || date -u -s "@$1" >/dev/null
}
"#;

/// Arguments: hardware address, address with prefix. The card is found by the first, whatever the machine calls it.
const CARD: &str = r#"
card() {
    for device in /sys/class/net/*; do
        [ "$(cat "$device/address" 2>/dev/null)" = "$1" ] || continue
        device=${device##*/}
        ip link set "$device" up
        ip addr show dev "$device" | grep -qF "inet $2 " || ip addr add "$2" dev "$device"
        return
    done
    echo "there is no network card $1" >&2
    exit 1
}
"#;

/// Arguments: source, target, type, options.
const FOLDER: &str = r#"
folder() {
    mkdir -p "$2"
    # Whoever logs in may write where the machine may.
    mountpoint -q "$2" || mount -t "$3" -o "$4${SUDO_UID:+,uid=$SUDO_UID,gid=$SUDO_GID}" "$1" "$2" || {
        echo "the folder $2 cannot be mounted: the box needs the guest additions, a kernel with $3" >&2
        exit 1
    }
}
"#;

/// The program, at a time; `/etc/hosts` is its standard input.
pub(super) fn program(briefing: &Briefing, now: Timestamp) -> String {
    let mut program = "set -e".to_owned();
    // Writing to a string cannot fail.
    let mut add = |text: &str| {
        let _ = writeln!(program, "{text}");
    };
    add(CLOCK);
    add(&format!("clock {}", now.as_second()));
    if let Some(hostname) = &briefing.hostname {
        let hostname = quote(hostname);
        add(&format!("hostname {hostname}; printf '%s\\n' {hostname} >/etc/hostname"));
    }
    if !briefing.cards.is_empty() {
        add(CARD);
    }
    for card in &briefing.cards {
        add(&format!("card {} {}/{}", quote(&card.mac), card.ip, card.prefix));
    }
    // Nobody reads half a file.
    add("cat >/etc/hosts.new && mv /etc/hosts.new /etc/hosts");
    if !briefing.folders.is_empty() {
        add(FOLDER);
    }
    for folder in &briefing.folders {
        let words = [&folder.source, &folder.target, &folder.kind, &folder.options].map(|word| quote(word));
        add(&format!("folder {}", words.join(" ")));
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_provider_api::{CardAddress, FolderMount};

    #[test]
    fn names_alone_need_no_more_than_a_line_beside_the_clock() {
        let program = program(&Briefing::default(), Timestamp::from_second(7).unwrap());
        assert!(program.ends_with("clock 7\ncat >/etc/hosts.new && mv /etc/hosts.new /etc/hosts\n"), "{program}");
    }

    #[test]
    fn a_shell_understands_it() {
        // Nothing is told that would change this host: its clock is right, and no file is written without a name for it.
        let program = program(&Briefing::default(), Timestamp::now()).replace("/etc/hosts", "/dev/null");
        let program = program.replace("mv /dev/null.new", "true").replace("/dev/null.new", "/dev/null");
        let output = std::process::Command::new("sh").args(["-c", &program]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    #[test]
    fn folders_come_last() {
        let briefing = Briefing {
            hostname: Some("it's".to_owned()),
            cards: vec![CardAddress { mac: "08:00:27:00:00:01".to_owned(), ip: [10, 0, 0, 2].into(), prefix: 24 }],
            folders: vec![FolderMount {
                source: "share".to_owned(),
                target: "/a b".to_owned(),
                kind: "vboxsf".to_owned(),
                options: "ro".to_owned(),
            }],
            ..Briefing::default()
        };
        let program = program(&briefing, Timestamp::from_second(7).unwrap());
        let lines: Vec<&str> = program.lines().filter(|line| !line.starts_with([' ', '}'])).collect();
        assert_eq!(
            lines,
            [
                "set -e",
                "clock() {",
                "",
                "clock 7",
                r#"hostname 'it'\''s'; printf '%s\n' 'it'\''s' >/etc/hostname"#,
                "",
                "card() {",
                "",
                "card 08:00:27:00:00:01 10.0.0.2/24",
                "cat >/etc/hosts.new && mv /etc/hosts.new /etc/hosts",
                "",
                "folder() {",
                "",
                "folder share '/a b' vboxsf ro"
            ]
        );
    }
}
