//! Bringing a machine's copy up to date.
//!
//! Root makes the copy's folder and one beside it for what arrives, both for the user who is let in, and keeps a note of what was copied.
//! Everything else is done as that user: whatever links others put into the copy, they lead to no place where that user may not write.

use super::{
    SyncedFolder, list,
    listing::{Difference, Listing},
    programs::{NOTED, PLACE, PREPARE, READ, REMOVE},
};
use crate::{Access, EngineError};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{MachineId, Progress};
use rig_provider_api::{Context, ProviderError};
use rig_ssh::{
    Session, SshError, quote,
    transfer::{UploadOptions, UploadSource, upload},
};
use rig_state::FileLock;
use std::{fmt::Write, io};

/// Where it is noted in a machine what was copied into it.
const NOTES: &str = "/var/lib/rig/synced";

/// The longest note, in bytes: 100 for each of 300,000 files.
const NOTE: usize = 32 << 20;

/// How much is kept of what a command of rig's own says, in bytes.
const SAID: usize = 4096;

/// How often a folder is looked at anew in which something went away while it was sent.
const TRIES: u32 = 5;

impl Access {
    /// Brings the copies of a running machine's folders up to date. Another call that does the same is waited for.
    ///
    /// # Errors
    /// When a folder cannot be read, the machine cannot be entered, or it cannot be written there.
    pub(crate) async fn sync(&self, cx: &Context, machine: &MachineId) -> Result<(), EngineError> {
        let folders = self.folders(machine);
        if folders.is_empty() {
            return Ok(());
        }
        let first = self.session(cx, machine).await?;
        let patience = rig_state::Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() };
        let waiting = || cx.progress(Progress::step("waiting for another rig that copies folders"));
        let _alone = FileLock::acquire(&self.layout().machine_folders_lock(machine), &patience, waiting).await?;
        let patience = rig_ssh::Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() };
        // Of its own: nothing else waits behind it.
        let session = first.another(&patience, &|_| ()).await.map_err(|error| EngineError::ssh(machine, error))?;
        for folder in folders {
            bring(cx, machine, &session, folder).await?;
        }
        session.close().await;
        self.update(machine, |known| known.has_folders = true).await
    }
}

async fn bring(cx: &Context, machine: &MachineId, session: &Session, folder: &SyncedFolder) -> Result<(), EngineError> {
    let doing = format!("copying {} to {} of machine {machine}", folder.source, folder.target);
    let copy = Copy { cx, session, doing: &doing, folder, note: format!("{NOTES}/{}.json", name(&folder.target)) };
    let mut tries = 1;
    while !copy.once(tries == TRIES).await? {
        tries += 1;
    }
    Ok(())
}

/// One folder on its way to a machine.
struct Copy<'a> {
    cx: &'a Context,
    session: &'a Session,
    doing: &'a str,
    folder: &'a SyncedFolder,
    /// Where it is noted what was copied.
    note: String,
}

impl Copy<'_> {
    /// Copies the folder as it is now; `false` when something went away meanwhile that was to be sent.
    async fn once(&self, last: bool) -> Result<bool, EngineError> {
        let target = &self.folder.target;
        let (before, user) = (self.root(READ, &[target, &self.note], "", NOTE).await?, self.session.user());
        let Some(Work { text, on_the_way, removed, changed, rights, count }) = self.work(before).await? else {
            return Ok(true);
        };
        if text.len() > NOTE {
            let why = format!("there is too much in it: {count} files and folders");
            let error = ProviderError::failed(self.doing, why).hinted("name what need not be there in its .rigignore");
            return Err(error.into());
        }
        let arriving = format!("{}.rig-arriving", target.trim_end_matches('/'));
        let arrived = format!("{arriving}/new");
        self.root(PREPARE, &[target, &arriving, user], "", SAID).await?;
        // A call that is cut leaves a note of all that may be there.
        self.root(NOTED, &[&self.note, ""], &on_the_way, SAID).await?;
        self.user(REMOVE, &[target], &removed).await?;
        match self.send(changed, &arrived).await? {
            Ok(_) => {}
            Err(SshError::File { reason, .. }) if went_away(&reason) && !last => return Ok(false),
            Err(error) => return Err(ProviderError::failed(self.doing, error).into()),
        }
        self.user(PLACE, &[target, &arrived], &rights).await?;
        self.root(NOTED, &[&self.note, &arriving], &text, SAID).await?;
        Ok(true)
    }

    /// What has to be done to a copy of which this note speaks; nothing where it is up to date. Away from the runtime: folders are large.
    async fn work(&self, before: String) -> Result<Option<Work>, ProviderError> {
        let path = self.folder.source.clone();
        let look = async {
            let work = tokio::task::spawn_blocking(move || Work::of(&path, &before)).await;
            let work = work.map_err(|error| ProviderError::failed(self.doing, error))?;
            work.map_err(|error| ProviderError::failed(self.doing, error))
        };
        self.cx.run(self.doing, look).await
    }

    /// Sends what has changed; what becomes of that is told apart from what cuts it.
    async fn send(&self, paths: Vec<Utf8PathBuf>, arrived: &str) -> Result<Result<u64, SshError>, ProviderError> {
        let source = &self.folder.source;
        let progress = |sent, all| self.cx.progress(Progress::bytes(format!("copying {source}"), sent, Some(all)));
        let what = UploadSource::Listed(source.clone(), paths);
        let options = UploadOptions { open: true, ..UploadOptions::default() };
        let sent = upload(self.session, what, arrived, &options, &progress);
        self.cx.run(self.doing, async { Ok(sent.await) }).await
    }

    /// Runs a program of the machine's shell as root.
    async fn root(&self, program: &str, words: &[&str], input: &str, keep: usize) -> Result<String, ProviderError> {
        self.run(crate::provision::sudo(self.session), program, words, input, keep).await
    }

    /// Runs one as the user who is let in.
    async fn user(&self, program: &str, words: &[&str], input: &str) -> Result<String, ProviderError> {
        self.run("", program, words, input, SAID).await
    }

    async fn run(
        &self,
        sudo: &str,
        program: &str,
        words: &[&str],
        input: &str,
        keep: usize,
    ) -> Result<String, ProviderError> {
        let words = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let line = format!("{sudo}/bin/sh -c {} sh {words}", quote(program));
        let work = async {
            let outcome = self.session.run(&line, Some(input.to_owned().into()), keep).await;
            let outcome = outcome.map_err(|error| ProviderError::failed(self.doing, error))?;
            if outcome.success() {
                return Ok(String::from_utf8_lossy(&outcome.stdout).into_owned());
            }
            Err(ProviderError::failed(self.doing, String::from_utf8_lossy(&outcome.stderr).trim()))
        };
        self.cx.run(self.doing, work).await
    }
}

/// What has to be done to a copy.
struct Work {
    /// The note of a copy that is up to date.
    text: String,
    /// The note of one that becomes so.
    on_the_way: String,
    /// What is gone, for [`REMOVE`].
    removed: String,
    /// What is sent.
    changed: Vec<Utf8PathBuf>,
    /// The permissions of folders, for [`PLACE`].
    rights: String,
    /// How many files and folders there are.
    count: usize,
}

impl Work {
    fn of(source: &Utf8Path, before: &str) -> io::Result<Option<Self>> {
        let now = list(source)?;
        let text = now.to_text();
        if text == before {
            return Ok(None);
        }
        let known = Listing::from_text(before);
        let Difference { gone, changed } = now.since(&known);
        let (mut removed, mut rights) = (String::new(), String::new());
        for path in gone {
            // What is still here is named in `.rigignore` now: its copy is the machine's own.
            if now.has(&path) || fs_err::symlink_metadata(source.join(&path)).is_err() {
                // Writing to a string cannot fail. Behind `./` a name that begins with a hyphen is none of an option.
                let _ = write!(removed, "./{path}\0");
            }
        }
        // What is in a folder comes before it: into some nobody may look.
        for (path, mode) in changed.iter().rev().filter_map(|path| Some((path, now.folder_mode(path)?))) {
            let _ = write!(rights, "{mode:o}\0./{path}\0");
        }
        let (on_the_way, count) = (now.on_the_way_from(&known).to_text(), now.paths().count());
        Ok(Some(Self { text, on_the_way, removed, changed, rights, count }))
    }
}

/// Whether a file was removed, or became shorter, while it was read.
fn went_away(reason: &io::Error) -> bool {
    matches!(reason.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
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
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn work_is_what_makes_a_copy_up_to_date() {
        let place = tempfile::tempdir().unwrap();
        let source = Utf8Path::from_path(place.path()).unwrap();
        for path in ["shut/file", "ignored/file", "gone"] {
            fs::create_dir_all(source.join(path).parent().unwrap()).unwrap();
            fs::write(source.join(path), path).unwrap();
        }
        fs::set_permissions(source.join("shut"), PermissionsExt::from_mode(0o555)).unwrap();
        let first = Work::of(source, "").unwrap().unwrap();
        assert!(
            first.removed.is_empty() && first.rights.ends_with("555\0./shut\x00755\0./ignored\0"),
            "{}",
            first.rights
        );
        assert!(Work::of(source, &first.text).unwrap().is_none());
        fs::remove_file(source.join("gone")).unwrap();
        fs::write(source.join(".rigignore"), "ignored\n").unwrap();
        let second = Work::of(source, &first.text).unwrap().unwrap();
        assert_eq!(second.removed, "./gone\0", "what is ignored now is the machine's own");
        assert_eq!(second.changed, [".rigignore"]);
        fs::set_permissions(source.join("shut"), PermissionsExt::from_mode(0o755)).unwrap();
    }
}
