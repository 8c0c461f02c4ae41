//! Bringing a machine's copy up to date.
//!
//! Root makes the copy's folder and one beside it for what arrives, both for the user who is let in, and keeps a note of what was copied.
//! Everything else is done as that user: whatever links others put into the copy, they lead to no place where that user may not write.

use super::{SyncedFolder, list, listing::Difference, listing::Listing};
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

/// Prints the note, if the copy that it speaks of is there. As root. Arguments: the target, the note.
const READ: &str = r#"[ ! -d "$1" ] || cat "$2" 2>/dev/null || :"#;

/// Makes the copy's folder and an empty one for what arrives. As root. Arguments: the target, where things arrive, the user.
const PREPARE: &str = r#"
set -e
[ ! -L "$1" ] || { echo "$1 is a link, and a copy is a folder" >&2; exit 1; }
mkdir -p "$1"
[ "$(stat -c %U "$1")" = "$3" ] || chown -h "$3:" "$1"
rm -rf "$2"
mkdir -m 700 "$2"
chown -h "$3:" "$2"
"#;

/// Removes what is gone, deepest first; a folder stays if there is something in it that was not copied. Standard input: paths relative to
/// the target, each with a NUL behind it. Argument: the target.
const REMOVE: &str = r#"
set -e
cd "$1"
exec xargs -0 -r sh -ec 'for p; do
    if [ -d "$p" ] && [ ! -L "$p" ]; then
        rmdir "$p" 2>/dev/null || :
    elif [ -e "$p" ] || [ -L "$p" ]; then
        [ -w "${p%/*}" ] || chmod u+w "${p%/*}"
        rm -f "$p"
    fi
done' sh
"#;

/// Puts what has arrived into its place, each file in one step: whoever reads one reads the old one or the new one. The folder itself
/// stays the one that programs may be in. What is of another kind gives way. Folders get their permissions last: into some nobody may
/// write. Standard input: permissions and paths of folders, each with a NUL behind it. Arguments: the target, where things arrived.
const PLACE: &str = r#"
set -e
cd "$2"
find . -type d -exec sh -ec 'for d; do
    if [ -L "$0/$d" ] || [ ! -d "$0/$d" ]; then
        rm -f "$0/$d"
        mkdir "$0/$d"
    fi
    [ -w "$0/$d" ] || chmod u+w "$0/$d"
done' "$1" {} +
find . ! -type d -exec sh -ec 'for f; do
    if [ -L "$0/$f" ] || [ -d "$0/$f" ]; then rm -rf "$0/$f"; fi
    mv -f "$f" "$0/$f"
done' "$1" {} +
cd "$1"
exec xargs -0 -r -n 2 chmod
"#;

/// Notes what was copied. As root. Standard input: the note. Arguments: its file, where things arrived or nothing.
const NOTED: &str = r#"
set -e
[ -z "$2" ] || rm -rf "$2"
mkdir -p "$(dirname "$1")"
cat >"$1.new"
mv "$1.new" "$1"
"#;

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
    use std::{
        io::Write as _,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
        path::{Path, PathBuf},
        process::{Command, Output, Stdio},
    };

    fn run(program: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new("sh")
            .args(["-c", program, "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn shell(program: &str, arguments: &[&str], input: &str) {
        let output = run(program, arguments, input);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    /// A copy and a place where things arrive.
    struct Stand {
        place: tempfile::TempDir,
    }

    impl Stand {
        fn new() -> Self {
            let stand = Self { place: tempfile::tempdir().unwrap() };
            let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
            shell(PREPARE, &[&stand.text("copy"), &stand.text("copy.rig-arriving"), user.trim()], "");
            fs::create_dir(stand.path("copy.rig-arriving/new")).unwrap();
            stand
        }

        fn path(&self, name: &str) -> PathBuf {
            self.place.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).display().to_string()
        }

        fn put(&self, name: &str, content: &str) {
            fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            fs::write(self.path(name), content).unwrap();
        }

        fn arrive(&self, name: &str, content: &str) {
            self.put(&format!("copy.rig-arriving/new/{name}"), content);
        }

        #[track_caller]
        fn places(&self, rights: &str) {
            shell(PLACE, &[&self.text("copy"), &self.text("copy.rig-arriving/new")], rights);
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path(&format!("copy/{name}"))).unwrap()
        }

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().mode() & 0o777
        }
    }

    #[test]
    fn what_has_arrived_gets_into_its_place() {
        let stand = Stand::new();
        stand.put("copy/same", "same");
        stand.put("copy/a b/old", "old");
        fs::set_permissions(stand.path("copy/a b"), PermissionsExt::from_mode(0o555)).unwrap();
        let same = fs::metadata(stand.path("copy/same")).unwrap().ino();
        let folder = fs::metadata(stand.path("copy")).unwrap().ino();
        stand.arrive("a b/old", "new");
        stand.arrive("a b/deep/-x", "x");
        stand.places("750\0./a b/deep\x00555\0./a b\0");
        assert_eq!([stand.read("a b/old"), stand.read("a b/deep/-x")], ["new", "x"]);
        assert_eq!(Stand::mode(&stand.path("copy/a b")), 0o555);
        assert_eq!(Stand::mode(&stand.path("copy/a b/deep")), 0o750);
        assert_eq!(fs::metadata(stand.path("copy/same")).unwrap().ino(), same);
        assert_eq!(fs::metadata(stand.path("copy")).unwrap().ino(), folder);
    }

    #[test]
    fn what_is_of_another_kind_gives_way() {
        let stand = Stand::new();
        stand.put("elsewhere/file", "untouched");
        for name in ["link-to-file", "link-to-link", "link-to-folder"] {
            symlink(stand.path("elsewhere"), stand.path(&format!("copy/{name}"))).unwrap();
        }
        stand.put("copy/folder/of the machine", "machine");
        stand.put("copy/file", "file");
        stand.arrive("link-to-file", "a file");
        symlink("file", stand.path("copy.rig-arriving/new/link-to-link")).unwrap();
        stand.arrive("link-to-folder/x", "x");
        stand.arrive("folder", "a file as well");
        stand.arrive("file/y", "y");
        stand.places("");
        assert_eq!([stand.read("link-to-file"), stand.read("folder")], ["a file", "a file as well"]);
        assert_eq!([stand.read("link-to-folder/x"), stand.read("file/y")], ["x", "y"]);
        assert_eq!(fs::read_link(stand.path("copy/link-to-link")).unwrap().to_str(), Some("file"));
        let left: Vec<_> =
            fs::read_dir(stand.path("elsewhere")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["file"], "nothing was put or removed where a link leads");
    }

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

    #[test]
    fn a_file_that_cannot_be_placed_is_a_failure() {
        let stand = Stand::new();
        for name in ["a", "b", "c"] {
            stand.arrive(name, name);
        }
        // A `mv` that refuses one of several.
        stand.put("bin/mv", "#!/bin/sh\ncase $2 in */a) exit 1 ;; esac\nexec /bin/mv \"$@\"\n");
        fs::set_permissions(stand.path("bin/mv"), PermissionsExt::from_mode(0o755)).unwrap();
        let program = format!("PATH={}:$PATH\n{PLACE}", quote(&stand.text("bin")));
        let output = run(&program, &[&stand.text("copy"), &stand.text("copy.rig-arriving/new")], "");
        assert!(!output.status.success(), "{output:?}");
    }

    #[test]
    fn what_is_gone_goes_and_what_the_machine_made_stays() {
        let stand = Stand::new();
        for name in ["-x", "folder/known", "folder/own", "empty/known", "kept"] {
            stand.put(&format!("copy/{name}"), "");
        }
        shell(
            REMOVE,
            &[&stand.text("copy")],
            "./not there/x\0./folder/known\0./folder\0./empty/known\0./empty\0./-x\0",
        );
        let there = |name: &str| stand.path(&format!("copy/{name}")).exists();
        assert!(there("folder/own") && there("kept"));
        assert!(!there("folder/known") && !there("empty") && !there("-x"));
    }

    #[test]
    fn a_link_is_no_folder_for_a_copy() {
        let stand = Stand::new();
        symlink(stand.path("copy"), stand.path("link")).unwrap();
        let output = run(PREPARE, &[&stand.text("link"), &stand.text("arriving"), "root"], "");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is a link"), "{output:?}");
    }

    #[test]
    fn a_note_is_whole() {
        let stand = Stand::new();
        let note = stand.text("notes/x.json");
        shell(NOTED, &[&note, &stand.text("copy.rig-arriving")], "{}");
        assert_eq!(fs::read_to_string(&note).unwrap(), "{}");
        assert!(!stand.path("copy.rig-arriving").exists());
        assert_eq!(run(READ, &[&stand.text("copy"), &note], "").stdout, b"{}");
        assert_eq!(run(READ, &[&stand.text("no copy"), &note], "").stdout, b"");
    }
}
