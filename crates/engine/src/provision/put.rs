//! Putting files and folders into a machine. What is there already in the same form is left as it is: a second run
//! changes nothing.

use super::{Access, script::sudo};
use crate::{EngineError, Makes};
use rig_model::{Content, Digest, Entry, Listing, MachineId, OWN_FOLDER, Progress, ResolvedStep, Rights, Work};
use rig_provider_api::Context;
use rig_ssh::{
    quote,
    transfer::{UploadOptions, UploadSource, upload},
};
use std::collections::BTreeSet;

/// Who has files that name no owner.
const OWNER: &str = "root:root";

/// The mode of contents that have none of their own.
const MODE: u32 = 0o644;

/// How much of a look's output is kept, in bytes: 80 for each of some thousand files.
const KEPT: usize = 4 << 20;

/// From this size on, in bytes, an upload gets a connection of its own, so that nothing else waits behind it.
const BULK: u64 = 1 << 20;

/// Arguments: the target. Prints `sha256  path` for a file; for a folder the same for every file in it, their modes, those
/// of its folders, and its links; then the target's own mode and owner.
const LOOK: &str = r#"
if [ -d "$1" ]; then
    cd "$1"
    find . -type f -exec sha256sum {} +
    find . -type f -exec stat -c 'mode %a %n' {} +
    find . ! -name . -type d -exec stat -c 'folder %a %n' {} +
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
            Content::Path { path, listing } => match listing.entries.get("") {
                Some(Entry::File { mode, size, sha256 }) => Wanted {
                    files: BTreeSet::from([format!("{sha256}  -")]),
                    size: *size,
                    mode: Some(*mode),
                    source: UploadSource::File(path.into()),
                },
                _ => Wanted {
                    files: lines(listing),
                    size: listing.size(),
                    mode: None,
                    source: UploadSource::Folder(path.into()),
                },
            },
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
        let options = UploadOptions {
            mode,
            owner: Some(owner),
            sudo: true,
            leave_out: Some(OWN_FOLDER.to_owned()),
            ..UploadOptions::default()
        };
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

/// What a look prints of a folder of the host once it is in the machine.
fn lines(listing: &Listing) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (path, entry) in listing.entries.iter().filter(|(path, _)| !path.is_empty()) {
        match entry {
            Entry::Folder { mode } => _ = lines.insert(format!("folder {mode:o} ./{path}")),
            Entry::File { mode, sha256, .. } => {
                lines.insert(format!("{sha256}  ./{path}"));
                lines.insert(format!("mode {mode:o} ./{path}"));
            }
            Entry::Link { target } => _ = lines.insert(format!("link ./{path} {target}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_what_a_look_prints() {
        let file = |mode| Entry::File { mode, size: 1, sha256: Digest::of(b"x") };
        let entries = [
            ("", Entry::Folder { mode: 0o755 }),
            ("empty", Entry::Folder { mode: 0o700 }),
            ("a b", file(0o644)),
            ("to", Entry::Link { target: "../else".to_owned() }),
        ];
        let listing = Listing { entries: entries.map(|(path, entry)| (path.to_owned(), entry)).into() };
        let digest = Digest::of(b"x");
        let seen = format!("{digest}  ./a b\nmode 644 ./a b\nfolder 700 ./empty\nlink ./to ../else\n= 755 root:root\n");
        assert!(is_there(seen.as_bytes(), &lines(&listing), None, OWNER));
        let without = seen.replace("folder 700 ./empty\n", "");
        assert!(!is_there(without.as_bytes(), &lines(&listing), None, OWNER), "an empty folder is missing");
    }

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
