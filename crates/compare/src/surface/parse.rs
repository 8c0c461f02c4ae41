//! Understanding what a machine prints about what it exposes.

use super::{Process, Profile};
use rig_drift::parse::{packages, serves_a_session, sockets};

/// The version of the form that [`profile`] reads. A text begins with it, so that a machine whose shell said something else is
/// not taken for one that exposes nothing.
///
/// Parts follow, each after a NUL, a question mark where a part could not be found out: processes, `/proc/net/tcp` with `/proc/net/tcp6`, files with the bits for setuid or setgid,
/// packages, shells, ways to log in, options of the root file system's mount. A process is a line: `pid uid gid CapEff CapBnd
/// NoNewPrivs Seccomp name`, a tab, and its arguments, each ended with the character US (037).
pub const FORMAT: &str = "rig.surface/1";

/// Stands where a part could not be found out.
const UNKNOWN: &str = "?";

/// Ends an argument.
const US: char = '\u{1f}';

/// The profile in a machine's answer; nothing when that is no answer.
#[must_use]
pub fn profile(text: &str) -> Option<Profile> {
    let mut parts = text.split('\0');
    if parts.next()?.trim() != FORMAT {
        return None;
    }
    let (processes, listening, setuid) = (parts.next()?, parts.next()?, parts.next()?);
    let (installed, shells, logins, options) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let installed = packages(installed);
    let options = options.trim();
    Some(Profile {
        processes: processes.lines().filter_map(process).filter(|one| !is_session(one)).collect(),
        listeners: sockets(listening).map(|socket| format!("tcp {socket}")).collect(),
        setuid: (setuid.trim() != UNKNOWN).then(|| lines(setuid)),
        packages: (!installed.is_empty()).then_some(installed),
        shells: lines(shells),
        logins: lines(logins),
        writable_root: (!options.is_empty()).then(|| options.split(',').any(|option| option == "rw")),
    })
}

/// Who is logged in is not what a machine is.
fn is_session(process: &Process) -> bool {
    serves_a_session(&process.uid.to_string(), &process.name)
}

fn process(line: &str) -> Option<Process> {
    let (head, arguments) = line.split_once('\t')?;
    let mut words = head.splitn(8, ' ');
    let mut number = || words.next()?.parse::<u32>().ok();
    let (pid, uid, gid) = (number()?, number()?, number()?);
    let mut bits = || u64::from_str_radix(words.next()?, 16).ok();
    let (effective, bounding) = (bits()?, bits()?);
    let mut set = || Some(words.next()? != "0");
    let (no_new_privileges, seccomp) = (set()?, set()?);
    let name = words.next()?.to_owned();
    let command = arguments.split_terminator(US).map(str::to_owned).collect();
    Some(Process { pid, uid, gid, name, command, effective, bounding, no_new_privileges, seccomp })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let text = "rig.surface/1\n\0\
            1 0 0 00000000a80425fb 00000000a80425fb 0 2 sshd\t/usr/sbin/sshd\u{1f}-D\u{1f}\n\
            17 185 185 0000000000000000 0000000000000000 1 2 java worker\tjava\u{1f}-cp\u{1f}a b\u{1f}\n\
            19 0 0 0 0 0 0 kworker\t\n\0\
            \x20 sl  local_address\n   0: 00000000:0016 00000000:0000 0A\n\0\
            /usr/bin/su\n/usr/bin/passwd\n\0\
            libc6 2.36\n\0/usr/bin/dash\n\0sshd listens\n\0ro,relatime\n";
        let profile = profile(text).unwrap();
        let [sshd, java, thread] = profile.processes.as_slice() else { panic!("{:?}", profile.processes) };
        assert_eq!((sshd.pid, sshd.uid, sshd.effective, sshd.seccomp), (1, 0, 0xa804_25fb, true));
        assert_eq!((java.name.as_str(), java.no_new_privileges), ("java worker", true));
        assert_eq!(java.command, ["java", "-cp", "a b"]);
        assert!(thread.command.is_empty() && !thread.seccomp);
        assert_eq!(profile.listeners.iter().collect::<Vec<_>>(), ["tcp 0.0.0.0:22"]);
        assert_eq!(profile.setuid.map(|files| files.len()), Some(2));
        assert_eq!(profile.packages.unwrap().get("libc6").map(String::as_str), Some("2.36"));
        assert_eq!(profile.writable_root, Some(false));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert_eq!(profile(""), None);
        assert_eq!(profile("sh: not found"), None);
        assert_eq!(profile("rig.surface/1\n\0"), None);
    }
}
