//! Putting files and folders into a machine. What is there already in the same form is left as it is: a second run
//! changes nothing.

use super::{Access, access::lost_task, script::sudo};
use crate::{EngineError, Makes};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{Content, Digest, MachineId, Progress, ResolvedStep, Rights, Work};
use rig_provider_api::Context;
use rig_ssh::{
    quote,
    transfer::{UploadOptions, UploadSource, upload},
};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, io::Read};

/// Who has files that name no owner.
const OWNER: &str = "root:root";

/// The mode of contents that have none of their own.
const MODE: u32 = 0o644;

/// How much of a look's output is kept, in bytes: 80 for each of some thousand files.
const KEPT: usize = 4 << 20;

/// rig's own folder in a workspace, which holds keys: it is left out wherever it is met.
const OWN: &str = ".rig";

/// From this size on, in bytes, an upload gets a connection of its own, so that nothing else waits behind it.
const BULK: u64 = 1 << 20;

/// Arguments: the target. Prints `sha256  path` for a file; for a folder the same for every file in it, their modes, and its
/// links; then the target's own mode and owner.
const LOOK: &str = r#"
if [ -d "$1" ]; then
    cd "$1"
    find . -type f -exec sha256sum {} +
    find . -type f -exec stat -c 'mode %a %n' {} +
    find . -type l -exec sh -c 'for link; do printf "link %s %s\n" "$link" "$(readlink "$link")"; done' sh {} +
elif [ -f "$1" ]; then sha256sum <"$1"
else exit 0; fi
stat -c '= %a %U:%G' "$1"
"#;

/// What is to be there.
struct Wanted {
    source: UploadSource,
    mode: Option<u32>,
    /// What [`LOOK`] prints when it is there.
    files: BTreeSet<String>,
    size: u64,
}

impl Access {
    /// Puts a step's content into place, unless it is there.
    pub(super) async fn put(
        &self,
        cx: &Context,
        machine: &MachineId,
        step: &ResolvedStep,
        makes: &dyn Makes,
    ) -> Result<(), EngineError> {
        let Work::Put { content, target, rights } = &step.work else { return Ok(()) };
        let wanted = match content {
            Content::Bytes(bytes) => Wanted {
                files: BTreeSet::from([format!("{}  -", Digest::of(bytes))]),
                size: bytes.len() as u64,
                mode: Some(MODE),
                source: UploadSource::Bytes(bytes.clone().into()),
            },
            Content::Artifact(artifact) => {
                let path = makes.fetch(cx, artifact).await?;
                Wanted {
                    files: BTreeSet::from([format!("{}  -", artifact.sha256)]),
                    size: BULK,
                    mode: Some(MODE),
                    source: UploadSource::File(path),
                }
            }
            Content::Path(path) => {
                let path = Utf8PathBuf::from(path);
                let read =
                    tokio::task::spawn_blocking(move || look_here(&path)).await.map_err(|error| lost_task(&error))?;
                read.map_err(|error| EngineError::Host {
                    doing: format!("reading {}", step.id),
                    why: error.to_string(),
                })?
            }
        };
        let Rights { mode, owner } = rights;
        let (mode, owner) = (mode.or(wanted.mode), owner.clone().unwrap_or_else(|| OWNER.to_owned()));
        let session = self.session(cx, machine).await?;
        let failed = |error| EngineError::ssh(machine, error);
        let look = format!("{}/bin/sh -c {} rig {}", sudo(&session), quote(LOOK), quote(target));
        let doing = format!("looking at {target} in machine {machine}");
        let seen = cx.run(&doing, async { Ok(session.run(&look, None, KEPT).await) }).await?.map_err(failed)?;
        if seen.success() && is_there(&seen.stdout, &wanted.files, mode, &owner) {
            return Ok(());
        }
        let patience = rig_ssh::Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() };
        let session =
            if wanted.size < BULK { session } else { session.another(&patience, &|_| ()).await.map_err(failed)? };
        let options = UploadOptions { mode, owner: Some(owner), sudo: true };
        let title = format!("uploading {target}");
        let progress = |done: u64, total: u64| cx.progress(Progress::bytes(title.clone(), done, Some(total)));
        let uploaded = cx.run(&title, async { Ok(upload(&session, wanted.source, target, &options, &progress).await) });
        uploaded.await?.map_err(|error| self.failed(machine, step, error.to_string(), Vec::new()))?;
        Ok(())
    }
}

/// Whether what a look saw is what should be: every file, and the target's own rights. The owner is compared as far as it
/// is named: `spark` says nothing of a group.
fn is_there(seen: &[u8], files: &BTreeSet<String>, mode: Option<u32>, owner: &str) -> bool {
    let text = String::from_utf8_lossy(seen);
    let lines: BTreeSet<&str> = text.lines().collect();
    let rights = text.lines().last().and_then(|line| line.strip_prefix("= "));
    let Some((found_mode, found_owner)) = rights.and_then(|rights| rights.split_once(' ')) else { return false };
    let same_mode = mode.is_none_or(|mode| u32::from_str_radix(found_mode, 8) == Ok(mode));
    let same_owner = match owner.strip_suffix(':').unwrap_or(owner) {
        owner if owner.contains(':') => owner == found_owner,
        owner => found_owner.split(':').next() == Some(owner),
    };
    let found: BTreeSet<&str> = lines.iter().copied().filter(|line| !line.starts_with("= ")).collect();
    same_mode && same_owner && found == files.iter().map(String::as_str).collect()
}

/// Hashes a file or folder of this host. Blocks.
fn look_here(path: &Utf8Path) -> std::io::Result<Wanted> {
    let metadata = fs_err::metadata(path)?;
    if !metadata.is_dir() {
        let files = BTreeSet::from([format!("{}  -", sha256(path)?)]);
        let source = UploadSource::File(path.to_owned());
        return Ok(Wanted { source, mode: mode(&metadata), files, size: metadata.len() });
    }
    let mut files = BTreeSet::new();
    let mut size = 0;
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let entry = entry?;
            let path_here =
                Utf8PathBuf::try_from(entry.path()).map_err(|error| std::io::Error::other(error.to_string()))?;
            let kind = entry.file_type()?;
            if entry.file_name() == OWN {
                continue;
            }
            if kind.is_dir() {
                open.push(path_here);
                continue;
            }
            let relative = path_here.strip_prefix(path).map_err(std::io::Error::other)?;
            let relative = relative.as_str().replace('\\', "/");
            if kind.is_symlink() {
                let target = fs_err::read_link(&path_here)?;
                files.insert(format!("link ./{relative} {}", target.to_string_lossy()));
            } else {
                let metadata = entry.metadata()?;
                size += metadata.len();
                files.insert(format!("{}  ./{relative}", sha256(&path_here)?));
                files.extend(mode(&metadata).map(|mode| format!("mode {mode:o} ./{relative}")));
            }
        }
    }
    Ok(Wanted { source: UploadSource::Folder(path.to_owned()), mode: None, files, size })
}

fn sha256(path: &Utf8Path) -> std::io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&piece[..count]),
        }
    }
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> Option<u32> {
    Some(MODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_known() {
        let files = BTreeSet::from(["aa  ./one".to_owned()]);
        let seen = b"aa  ./one\nbb  ./other\n= 755 spark:spark\n";
        assert!(!is_there(seen, &files, None, "spark"), "there is more than should be");
        let seen = b"aa  ./one\n= 755 spark:spark\n";
        assert!(is_there(seen, &files, None, "spark"));
        assert!(is_there(seen, &files, Some(0o755), "spark:spark"));
        assert!(!is_there(seen, &files, Some(0o700), "spark"));
        assert!(!is_there(seen, &files, None, "root:root"));
        assert!(!is_there(b"", &files, None, "spark"));
        assert!(!is_there(b"cc  ./one\n= 755 spark:spark\n", &files, None, "spark"));
    }
}
