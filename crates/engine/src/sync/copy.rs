//! Bringing a machine's copy up to date.

use super::{SyncedFolder, list, listing::Difference, listing::Listing};
use crate::{Access, EngineError};
use rig_model::{MachineId, Progress};
use rig_provider_api::{Context, ProviderError};
use rig_ssh::{
    Session, quote,
    transfer::{UploadOptions, UploadSource, upload},
};
use std::fmt::Write;

/// Where it is noted in a machine what was copied into it.
const NOTES: &str = "/var/lib/rig/synced";

/// How much is kept of a note, in bytes: 100 for each of 300,000 files.
const NOTE: usize = 32 << 20;

/// How much is kept of what a command of rig's own says, in bytes.
const SAID: usize = 4096;

/// Prints the note, if the copy that it speaks of is there. Arguments: the target, the note.
const READ: &str = r#"[ ! -d "$1" ] || cat "$2" 2>/dev/null || :"#;

/// Removes what has to go. Standard input: paths relative to the target, each with a NUL behind it. Argument: the target.
const REMOVE: &str = r#"
set -e
mkdir -p "$1"
cd "$1"
xargs -0 -r rm -rf --
"#;

/// Puts what has arrived into its place, each file in one step: whoever reads one reads the old one or the new one. The folder itself
/// stays the one that programs may be in. Arguments: the target, where things arrived.
const PLACE: &str = r#"
set -e
cd "$2"
find . -type d -exec sh -c 'for d; do mkdir -p "$0/$d"; chmod "$(stat -c %a "$d")" "$0/$d"; chown "$(stat -c %u:%g "$d")" "$0/$d"; done' "$1" {} +
find . ! -type d -exec sh -c 'for f; do mv -f "$f" "$0/$f"; done' "$1" {} +
rm -rf "$2"
"#;

/// Notes what was copied. Standard input: the note. Argument: its file.
const NOTED: &str = r#"
set -e
mkdir -p "$(dirname "$1")"
cat >"$1.new"
mv "$1.new" "$1"
"#;

impl Access {
    /// Brings the copies of a running machine's folders up to date.
    ///
    /// # Errors
    /// When a folder cannot be read, the machine cannot be entered, or it cannot be written there.
    pub(crate) async fn sync(&self, cx: &Context, machine: &MachineId) -> Result<(), EngineError> {
        let folders = self.folders(machine);
        if folders.is_empty() {
            return Ok(());
        }
        let first = self.session(cx, machine).await?;
        let patience = rig_ssh::Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() };
        // Of its own: nothing else waits behind it.
        let session = first.another(&patience, &|_| ()).await.map_err(|error| EngineError::ssh(machine, error))?;
        for folder in folders {
            bring(cx, machine, &session, folder).await?;
        }
        session.close().await;
        Ok(())
    }
}

async fn bring(cx: &Context, machine: &MachineId, session: &Session, folder: &SyncedFolder) -> Result<(), EngineError> {
    let SyncedFolder { source, target } = folder;
    let doing = format!("copying {source} to {target} of machine {machine}");
    let path = source.clone();
    let look = async {
        let listed = tokio::task::spawn_blocking(move || list(&path)).await;
        let listed = listed.map_err(|error| ProviderError::failed(&doing, error))?;
        listed.map_err(|error| ProviderError::failed(&doing, error))
    };
    let now = cx.run(&doing, look).await?;
    let shell = Shell { session, doing: &doing };
    let note = format!("{NOTES}/{}.json", name(target));
    let before = cx.run(&doing, shell.run(READ, &[target, &note], "", NOTE)).await?;
    let known = Listing::from_text(&before);
    let Difference { gone, changed } = now.since(&known);
    if gone.is_empty() && changed.is_empty() && !before.is_empty() {
        return Ok(());
    }
    let mut removed = String::new();
    for path in gone {
        // Writing to a string cannot fail. Behind `./` a name that begins with a hyphen is none of an option.
        let _ = write!(removed, "./{path}\0");
    }
    let arriving = format!("{}.rig-arriving", target.trim_end_matches('/'));
    // In the hands of the user who is let in: what its owner alone may read here, that user may read there.
    let owner = Some(format!("{0}:{0}", session.user()));
    let options = UploadOptions { sudo: true, owner, ..UploadOptions::default() };
    let progress = |sent, all| cx.progress(Progress::bytes(format!("copying {source}"), sent, Some(all)));
    let work = async {
        // A call that is cut leaves a note of all that may be there.
        shell.run(NOTED, &[&note], &now.on_the_way_from(&known).to_text(), SAID).await?;
        shell.run(REMOVE, &[target], &removed, SAID).await?;
        let sent = upload(session, UploadSource::Listed(source.clone(), changed), &arriving, &options, &progress).await;
        sent.map_err(|error| ProviderError::failed(&doing, error))?;
        shell.run(PLACE, &[target, &arriving], "", SAID).await?;
        shell.run(NOTED, &[&note], &now.to_text(), SAID).await
    };
    cx.run(&doing, work).await?;
    Ok(())
}

/// A machine's shell, as root.
struct Shell<'a> {
    session: &'a Session,
    doing: &'a str,
}

impl Shell<'_> {
    async fn run(&self, program: &str, arguments: &[&str], input: &str, keep: usize) -> Result<String, ProviderError> {
        let words = arguments.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let line = format!("{}/bin/sh -c {} sh {words}", crate::provision::sudo(self.session), quote(program));
        let outcome = self.session.run(&line, Some(input.to_owned().into()), keep).await;
        let outcome = outcome.map_err(|error| ProviderError::failed(self.doing, error))?;
        if outcome.success() {
            return Ok(String::from_utf8_lossy(&outcome.stdout).into_owned());
        }
        Err(ProviderError::failed(self.doing, String::from_utf8_lossy(&outcome.stderr).trim()))
    }
}

/// A path as one name.
fn name(path: &str) -> String {
    path.replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use fs_err as fs;
    use std::{
        io::Write as _,
        os::unix::fs::{MetadataExt, PermissionsExt},
        process::{Command, Stdio},
    };

    fn shell(program: &str, arguments: &[&str], input: &str) {
        let mut child = Command::new("sh")
            .args(["-c", program, "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    #[test]
    fn what_has_arrived_gets_into_its_place_and_what_is_gone_goes() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name).display().to_string();
        let (target, arriving) = (path("copy"), path("copy.rig-arriving"));
        shell(REMOVE, &[&target], "");
        for (file, text) in [("same", "same"), ("a b/old", "old"), ("-x", "gone"), ("kind/below", "gone")] {
            fs::create_dir_all(std::path::Path::new(&path(&format!("copy/{file}"))).parent().unwrap()).unwrap();
            fs::write(path(&format!("copy/{file}")), text).unwrap();
        }
        let same = fs::metadata(path("copy/same")).unwrap().ino();
        shell(REMOVE, &[&target], "./-x\0./kind\0./not there\0");
        fs::create_dir_all(path("copy.rig-arriving/a b")).unwrap();
        fs::write(path("copy.rig-arriving/a b/old"), "new").unwrap();
        fs::write(path("copy.rig-arriving/kind"), "a file now").unwrap();
        std::os::unix::fs::symlink("same", path("copy.rig-arriving/link")).unwrap();
        fs::set_permissions(path("copy.rig-arriving/a b"), PermissionsExt::from_mode(0o750)).unwrap();
        shell(PLACE, &[&target, &arriving], "");
        assert_eq!(fs::read_to_string(path("copy/a b/old")).unwrap(), "new");
        assert_eq!(fs::read_to_string(path("copy/kind")).unwrap(), "a file now");
        assert_eq!(fs::read_link(path("copy/link")).unwrap().to_str(), Some("same"));
        assert_eq!(fs::metadata(path("copy/a b")).unwrap().mode() & 0o777, 0o750);
        assert_eq!(fs::metadata(path("copy/same")).unwrap().ino(), same);
        assert!(!fs::exists(path("copy/-x")).unwrap() && !fs::exists(&arriving).unwrap());
        let note = path("notes/x.json");
        shell(NOTED, &[&note], "{}");
        assert_eq!(fs::read_to_string(note).unwrap(), "{}");
    }
}
