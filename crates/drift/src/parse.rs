//! Understanding what machines print about themselves.

use crate::{File, Kind};
use rig_model::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
};

/// The format that `stat -c` is asked for: raw mode in hexadecimal, owner, group, bytes, times of content and of anything,
/// name. GNU's and busybox's programs know it.
pub const STAT: &str = "%f %u %g %s %Y %Z %n";

/// The bits of a raw mode that say what something is, and their values (`stat(2)`).
const TYPE: u32 = 0o170_000;

/// The state of a TCP socket that listens, as `/proc/net/tcp` has it (`TCP_LISTEN` in Linux' `tcp_states.h`).
const LISTEN: &str = "0A";

/// Ports that Linux gives to who asks for any (the default of `net.ipv4.ip_local_port_range`).
const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// Where Docker's own resolver listens in a container, on a port that it chooses at every start.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// Files from lines in the format [`STAT`]. A name may hold line breaks: a line that is none of that format goes on with the
/// name of the one before it.
#[must_use]
pub fn files(text: &str) -> BTreeMap<String, File> {
    let mut files = BTreeMap::new();
    let mut last: Option<(String, File)> = None;
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        match file(line) {
            Some(next) => {
                if let Some((path, file)) = last.replace(next) {
                    add(&mut files, path, file);
                }
            }
            None => {
                if let Some((path, _)) = &mut last {
                    path.push('\n');
                    path.push_str(line);
                }
            }
        }
    }
    if let Some((path, file)) = last {
        add(&mut files, path, file);
    }
    files
}

/// Two answers for one path: one of them is a name that was made to look like an answer, and nobody knows which.
fn add(files: &mut BTreeMap<String, File>, path: String, file: File) {
    files.entry(path).and_modify(|known| *known = File::unknown()).or_insert(file);
}

fn file(line: &str) -> Option<(String, File)> {
    let mut words = line.splitn(7, ' ');
    let raw = u32::from_str_radix(words.next()?, 16).ok()?;
    let (user, group): (u32, u32) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let size = words.next()?.parse().ok()?;
    let (modified, changed) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let path = words.next().filter(|path| path.starts_with('/'))?;
    let kind = match raw & TYPE {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Folder,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    let owner = format!("{user}:{group}");
    // The size of a folder says how its file system keeps it, that of a link how long its name is.
    let size = if kind == Kind::File { size } else { 0 };
    let (sha256, target) = (None, None);
    let file = File { kind, mode: raw & 0o7777, owner, size, modified, changed, sha256, target, in_box: false };
    Some((path.to_owned(), file))
}

/// Hashes by path from the output of `sha256sum`, which begins a line with a backslash when the name in it is escaped.
pub fn sums(text: &str) -> impl Iterator<Item = (String, Digest)> + '_ {
    text.split('\n').filter_map(|line| {
        let (line, escaped) = line.strip_prefix('\\').map_or((line, false), |line| (line, true));
        let (digest, path) = line.split_once("  ").or_else(|| line.split_once(" *"))?;
        let path = if escaped { unescaped(path) } else { path.to_owned() };
        Some((path, Digest::from_hex(digest)?))
    })
}

fn unescaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text
}

/// What links name, by their path, from pairs that end with NUL each.
pub fn links(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let mut words = text.split('\0');
    std::iter::from_fn(move || Some((words.next()?.to_owned(), words.next()?.to_owned())))
}

/// Names and versions, one package in each line.
#[must_use]
pub fn packages(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.trim().split_once(' ')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// What runs, one process in each line as `uid name`. Who is logged in over SSH is not what a machine is: sessions are left
/// out.
#[must_use]
pub fn processes(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| line.contains(' '));
    lines.filter(|line| !is_session(line)).map(str::to_owned).collect()
}

/// The part of OpenSSH's server that serves one session runs as the session's user, and since 9.8 under its own name.
fn is_session(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(user, name)| serves_a_session(user, name))
}

/// Whether a process of this user and name serves somebody who is logged in over SSH.
#[must_use]
pub fn serves_a_session(user: &str, name: &str) -> bool {
    name == "sshd-session" || (name == "sshd" && user != "0")
}

/// Who listens, from `/proc/net/tcp` and `/proc/net/tcp6` one behind the other. `ss` is in few boxes, these are in all. A port
/// that the kernel chose is another one after every restart: of such a listener only the address counts.
#[must_use]
pub fn listeners(text: &str) -> BTreeSet<String> {
    let named = |socket: SocketAddr| {
        let text = socket.to_string();
        let address = text.rsplit_once(':').map_or(text.as_str(), |(address, _)| address);
        let chosen = EPHEMERAL.contains(&socket.port());
        if chosen { format!("tcp {address}:ephemeral") } else { format!("tcp {text}") }
    };
    sockets(text).map(named).collect()
}

/// The same, each socket as it is.
pub fn sockets(text: &str) -> impl Iterator<Item = SocketAddr> + '_ {
    let socket = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (address, state) = (words.next()?, words.nth(1)?);
        if state != LISTEN {
            return None;
        }
        let (ip, port) = address.split_once(':')?;
        let (ip, port) = (ip_address(ip)?, u16::from_str_radix(port, 16).ok()?);
        if ip == RESOLVER {
            return None;
        }
        Some(SocketAddr::new(ip, port))
    };
    text.lines().filter_map(socket)
}

/// An address as the kernel prints it: words of 32 bits in the machine's own order, which is little-endian on everything that
/// rig runs on.
fn ip_address(hex: &str) -> Option<IpAddr> {
    if !hex.is_ascii() {
        return None;
    }
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.swap_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bits = 0_u128;
            for at in 0..4 {
                bits = bits << 32 | u128::from(word(at)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bits)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_are_read() {
        let text = "81a4 0 0 5 1700000000 1700000001 /etc/one file\n41ed 0 42 4096 1 2 /etc\na1ff 1 1 7 1 2 /etc/link\n11b0 0 0 0 1 2 /run/pipe\n";
        let files = files(text);
        let one = &files["/etc/one file"];
        assert_eq!((one.kind, one.mode, one.owner.as_str(), one.size), (Kind::File, 0o644, "0:0", 5));
        assert_eq!((one.modified, one.changed), (1_700_000_000, 1_700_000_001));
        assert_eq!((files["/etc"].kind, files["/etc"].size, files["/etc"].owner.as_str()), (Kind::Folder, 0, "0:42"));
        assert_eq!((files["/etc/link"].kind, files["/run/pipe"].kind), (Kind::Link, Kind::Other));
    }

    #[test]
    fn names_may_hold_line_breaks() {
        let files = files("81a4 0 0 5 1 1 /a\nb\n\nc\n81a4 0 0 6 1 1 /d\n");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["/a\nb\n\nc", "/d"]);
    }

    #[test]
    fn a_name_that_looks_like_an_answer_makes_its_path_unknown() {
        let files = files("81a4 0 0 5 1 1 /etc/passwd\n41ed 0 0 0 1 1 /tmp/x\n81a4 0 0 9 9 9 /etc/passwd\n");
        assert_eq!(files["/etc/passwd"].kind, Kind::Unknown);
        assert_eq!(files["/tmp/x"].kind, Kind::Folder);
    }

    #[test]
    fn sums_and_links_are_read() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!("{digest}  /a b\n\\{digest}  /c\\nd\\\\e\nnonsense\n");
        let paths: Vec<String> = sums(&text).map(|(path, _)| path).collect();
        assert_eq!(paths, ["/a b", "/c\nd\\e"]);
        let links: Vec<_> = links("/x\0../y z\0/n\0a\nb\0").collect();
        assert_eq!(links, [("/x".to_owned(), "../y z".to_owned()), ("/n".to_owned(), "a\nb".to_owned())]);
    }

    #[test]
    fn sessions_are_no_processes_of_the_machine() {
        let found: Vec<String> =
            processes("0 sshd\n1000 sshd\n0 sshd-session\n185 java\nnonsense\n").into_iter().collect();
        assert_eq!(found, ["0 sshd", "185 java"]);
    }

    #[test]
    fn listeners_are_read() {
        let text = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   2: 0B00007F:9999 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: 0200590A:9999 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0200590A:0016 0100590A:D2F0 01 00000000:00000000 02:0009C7E3 00000000     0        0 2 2 0 20 4 31 10 -1
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 0000000000000000FFFF00000200590A:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000
";
        let found: Vec<String> = listeners(text).into_iter().collect();
        assert_eq!(
            found,
            ["tcp 10.89.0.2:ephemeral", "tcp 127.0.0.1:8080", "tcp [::]:22", "tcp [::ffff:10.89.0.2]:8081"]
        );
    }

    proptest! {
        #[test]
        fn whatever_is_printed_is_no_danger(text in "\\PC{0,80}(\n\\PC{0,80}){0,5}") {
            let _ = (files(&text), sums(&text).count(), links(&text).count(), packages(&text), processes(&text), listeners(&text));
        }

        #[test]
        fn names_come_back(names in proptest::collection::btree_set("/[a-z \n]{1,12}[a-z]", 1..6)) {
            let text: String = names.iter().map(|name| format!("81a4 0 0 5 1 1 {name}\n")).collect();
            prop_assert_eq!(files(&text).into_keys().collect::<BTreeSet<_>>(), names);
        }
    }
}
