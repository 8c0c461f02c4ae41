//! To a machine.

use super::pack::{Parcel, Rights};
use super::pipe::writer;
use super::script::{RECEIVE, RemotePath, command};
use crate::{ExecCommand, Outcome, Result, Session, SshError};
use bytes::Bytes;
use camino::Utf8PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::spawn_blocking;

/// Bytes of the remote commands' own words that are kept for an error.
const WORDS: usize = 4 << 10;

/// What is sent.
#[derive(Clone, Debug)]
pub enum UploadSource {
    /// A file of this host, with its mode and modification time. A link is followed.
    File(Utf8PathBuf),
    /// A folder of this host with all that is in it: files and folders with modes and modification times, links as
    /// links.
    Folder(Utf8PathBuf),
    /// A folder of this host with these of the things in it, by their paths relative to it, folders before what is in them.
    Listed(Utf8PathBuf, Vec<Utf8PathBuf>),
    /// A file's content; its mode is 0644 unless [`UploadOptions::mode`] says otherwise.
    Bytes(Bytes),
}

/// How it is to look on the machine.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// Permissions of the file or of the folder itself; else those that it has here.
    pub mode: Option<u32>,
    /// `user`, `user:group` or numbers, for the file or for the folder and all that is in it; else whoever unpacks.
    pub owner: Option<String>,
    /// Whether to unpack as root, through `sudo -n`.
    pub sudo: bool,
    /// Whether whoever unpacks them may write into all folders, whatever their rights here: things are to be taken out again.
    pub open: bool,
    /// Files and folders of this name are left out, wherever they are in a folder that is sent.
    pub leave_out: Option<String>,
}

/// Puts a file or folder onto a machine and gives the number of bytes that its files hold.
///
/// The target's parent folders are made where they lack. A file replaces a file in one step. A folder replaces a
/// folder **as a whole**, in two renames between which there is none; if the second fails, the old folder comes back.
/// A transfer that breaks off, on whichever side, leaves the target as it was.
///
/// `progress` hears how many bytes of all are on their way.
///
/// # Errors
/// [`SshError::File`] for this host's side, [`SshError::Transfer`] for the machine's, [`SshError::Lost`].
pub async fn upload(
    session: &Session,
    source: UploadSource,
    target: &str,
    options: &UploadOptions,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<u64> {
    let doing = format!("uploading to {target}");
    let path = RemotePath::parse(target)?;
    let kind = if matches!(source, UploadSource::Folder(_) | UploadSource::Listed(..)) { "folder" } else { "file" };
    let owner = options.owner.as_deref().unwrap_or_default();
    if owner.starts_with('-') {
        return Err(SshError::Transfer { doing, why: format!("{owner:?} is no owner") });
    }
    let leave_out = options.leave_out.clone();
    let parcel = on_a_thread(move || Parcel::new(source, leave_out.as_deref())).await?;
    let total = parcel.total;

    let command = command(session, RECEIVE, &[&path.parent, &path.name, kind, owner], options.sudo);
    let mut running = session.exec(&ExecCommand { stdin: true, ..command }).await?;
    let stdin = running.stdin.take();
    let sent = Arc::new(AtomicU64::new(0));
    let (out, mut pieces) = writer();
    let pack = on_a_thread({
        let (sent, rights) = (Arc::clone(&sent), Rights { mode: options.mode, open: options.open });
        move || parcel.write(out, rights, &sent)
    });
    let send = async move {
        let Some(mut stdin) = stdin else { return };
        while let Some(piece) = pieces.recv().await {
            if stdin.send(piece).await.is_err() {
                return;
            }
            progress(sent.load(Ordering::Relaxed), total);
        }
    };
    let (packed, (), outcome) = tokio::join!(pack, send, running.outcome(WORDS));
    match (packed, outcome) {
        (Ok(()), Ok(outcome)) if outcome.success() => Ok(total),
        // The packing was ended by the other side's end, which says why.
        (Err(SshError::File { reason, .. }), outcome) if reason.kind() == std::io::ErrorKind::BrokenPipe => {
            Err(failed(doing, &outcome?))
        }
        (Err(error), _) => Err(error),
        (Ok(()), outcome) => Err(failed(doing, &outcome?)),
    }
}

/// Runs what blocks where it may.
pub(super) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is being shut down.
        Err(error) => Err(SshError::Cancelled { doing: error.to_string() }),
    }
}

/// The remote command's failure, in its own words.
pub(super) fn failed(doing: String, outcome: &Outcome) -> SshError {
    let words = String::from_utf8_lossy(&outcome.stderr);
    let words = words.trim();
    let why = if words.is_empty() { outcome.ending() } else { words.to_owned() };
    SshError::Transfer { doing, why }
}
