//! What VBoxManage says, and what it means by it. Its exit code alone does not tell: a refusal may end with 0, a success with 1.

use rig_model::Progress;

/// What a line that tells of an error begins with.
const ERROR: &str = "VBoxManage: error: ";

/// How it says that a machine has been started, also when it ends with 1.
const STARTED: &str = "has been successfully started";

/// How one call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) stdout: String,
    /// Why it did not do what it should.
    pub(crate) refusal: Option<Refusal>,
}

/// A refusal in VirtualBox's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason.
    pub(crate) why: String,
    /// Whatever else it said, without progress.
    pub(crate) more: Vec<String>,
    pub(crate) kind: Kind,
}

/// What can be done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody has the machine at this moment; it may be over soon.
    Locked,
    /// There is nothing of that name.
    NotFound,
    /// Something of that name is there already.
    Taken,
    /// The machine is not in a state in which that can be done.
    State,
    /// VirtualBox's kernel driver is not there.
    Driver,
    /// Anything else.
    Other,
}

impl Answer {
    /// Reads what a call left behind.
    pub(crate) fn read(stdout: String, stderr: &str, code: Option<i32>) -> Self {
        let lines: Vec<&str> = stderr.lines().map(plain).filter(|line| !line.is_empty()).collect();
        let errors: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(ERROR)).collect();
        let started = stdout.contains(STARTED) || stderr.contains(STARTED);
        if started || (code == Some(0) && errors.is_empty()) {
            return Self { stdout, refusal: None };
        }
        let told = |error: &&&str| !error.starts_with("Details:") && !error.starts_with("Context:");
        // The first line of several says that something failed, the next one why: "Appliance import failed".
        let reasons: Vec<&&str> = errors.iter().filter(told).collect();
        let why = match reasons.as_slice() {
            [general, why, ..] if general.ends_with("failed") => format!("{general}: {why}"),
            [why, ..] => (**why).to_owned(),
            [] => lines.last().map_or_else(
                || {
                    format!(
                        "VBoxManage ended with {} and gave no reason",
                        code.map_or("a signal".into(), |code| format!("code {code}"))
                    )
                },
                |line| (*line).to_owned(),
            ),
        };
        let kind = kind(&lines);
        let more = lines.iter().filter(|line| !why.contains(line.strip_prefix(ERROR).unwrap_or(line)));
        let more = more.map(|line| (*line).to_owned()).collect();
        Self { stdout, refusal: Some(Refusal { why, more, kind }) }
    }
}

/// What kind of refusal it is, by the codes that VirtualBox names, which no translation changes.
fn kind(lines: &[&str]) -> Kind {
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    // The code alone stands for "locked for a session", "being unlocked", "no console object from the direct session" and more.
    // The others pass as well: the daemon is about to start or to let go.
    let passing = ["Failed to create the VirtualBox object", "The object is not ready", "was unlocked unexpectedly"];
    let busy = passing.iter().any(|text| has(text))
        || has("VBOX_E_INVALID_OBJECT_STATE")
        || has("locked for a session")
        || has("lock request pending")
        || has("while it is locked");
    if busy {
        Kind::Locked
    } else if has("VERR_VM_DRIVER")
        || has("/dev/vboxdrv")
        || has("Kernel driver not installed")
        || has("VERR_SUP_DRIVERLESS")
    {
        Kind::Driver
    } else if has("VERR_ALREADY_EXISTS") || has("already exists") {
        Kind::Taken
    } else if has("VBOX_E_OBJECT_NOT_FOUND") {
        Kind::NotFound
    } else if has("VBOX_E_INVALID_VM_STATE") || has("is not currently running") {
        Kind::State
    } else {
        Kind::Other
    }
}

/// A line without the progress before it: `0%...10%...VBOX_E_FILE_ERROR` is one.
fn plain(line: &str) -> &str {
    let line = line.trim();
    match line.rfind("%...") {
        Some(at) => {
            let rest = &line[at + 4..];
            // "100%" at the end of the line belongs to the progress as well.
            if rest.trim_end_matches('%').bytes().all(|byte| byte.is_ascii_digit()) { "" } else { rest }
        }
        None => line,
    }
}

/// How far a call has come, by what it wrote last (`0%...10%...20%`).
pub(crate) fn progress(written: &str, doing: &str) -> Option<Progress> {
    let line = written.rsplit('\n').next()?;
    let percent = line.split("...").filter_map(|part| part.trim().strip_suffix('%')?.parse::<u64>().ok()).last()?;
    Some(Progress::step(format!("{doing}: {percent} %")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(stderr: &str, code: i32) -> Refusal {
        Answer::read(String::new(), stderr, Some(code)).refusal.unwrap()
    }

    #[test]
    fn a_refusal_that_ends_with_0_is_one() {
        let said = "VBoxManage: error: Cannot discard the saved state as the machine is not in the Saved or Aborted-Saved state (machine state: Aborted)\n\
                    VBoxManage: error: Details: code VBOX_E_INVALID_VM_STATE (0x80bb0002), component SessionMachine, interface IMachine, callee nsISupports\n";
        let refusal = refusal(said, 0);
        assert_eq!(refusal.kind, Kind::State);
        assert!(refusal.why.starts_with("Cannot discard"), "{}", refusal.why);
        assert_eq!(refusal.more.len(), 1);
    }

    #[test]
    fn a_success_that_ends_with_1_is_one() {
        let out = "Waiting for VM \"a\" to power on...\nVM \"a\" has been successfully started.\n".to_owned();
        assert_eq!(Answer::read(out, "", Some(1)).refusal, None);
    }

    #[test]
    fn progress_is_no_reason() {
        let said = "0%...10%...VBOX_E_FILE_ERROR\nVBoxManage: error: Appliance import failed\n\
                    VBoxManage: error: Could not create the imported medium '/x.vmdk'.\n\
                    VBoxManage: error: VMDK: could not create new file '/x.vmdk' (VERR_ALREADY_EXISTS)\n";
        let refusal = refusal(said, 1);
        assert_eq!(refusal.why, "Appliance import failed: Could not create the imported medium '/x.vmdk'.");
        assert_eq!(refusal.kind, Kind::Taken);
        assert_eq!(
            refusal.more,
            ["VBOX_E_FILE_ERROR", "VBoxManage: error: VMDK: could not create new file '/x.vmdk' (VERR_ALREADY_EXISTS)"]
        );
        assert_eq!(Answer::read(String::new(), "0%...10%...100%\n", Some(0)).refusal, None);
    }

    #[test]
    fn the_kinds_are_told_apart() {
        for (said, kind) in [
            ("VBoxManage: error: The machine 'a' is already locked for a session (or being unlocked)", Kind::Locked),
            ("VBoxManage: error: Cannot unregister the machine 'a' while it is locked", Kind::Locked),
            (
                "VBoxManage: error: Failed to get a console object from the direct session (VBOX_E_INVALID_OBJECT_STATE)",
                Kind::Locked,
            ),
            (
                "VBoxManage: error: x\nVBoxManage: error: Details: code VBOX_E_OBJECT_NOT_FOUND (0x80bb0001)",
                Kind::NotFound,
            ),
            ("VBoxManage: error: Machine 'a2' is not currently running.", Kind::State),
            ("VBoxManage: error: x\nWARNING: The character device /dev/vboxdrv does not exist.", Kind::Driver),
            ("VBoxManage: error: Machine settings file '/a.vbox' already exists", Kind::Taken),
            ("", Kind::Other),
        ] {
            assert_eq!(refusal(said, 1).kind, kind, "{said}");
        }
        assert_eq!(refusal("", 1).why, "VBoxManage ended with code 1 and gave no reason");
    }

    #[test]
    fn how_far_it_has_come_is_read() {
        assert_eq!(progress("0%...10%...20%", "importing").unwrap(), Progress::step("importing: 20 %"));
        assert_eq!(progress("Interpreting", "importing"), None);
    }
}
