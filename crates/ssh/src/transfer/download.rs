//! From a machine.

use super::pipe::reader;
use super::script::{MISSING, RemotePath, SEND, command};
use super::unpack::{Job, Unpacked, unpack};
use super::upload::{failed, on_a_thread};
use crate::exec::Tail;
use crate::{Event, Events, Outcome, Output, Result, Session, SshError};
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Bytes of the remote command's own words that are kept for an error.
const WORDS: usize = 4 << 10;

/// What GNU tar says, with exit code 1, of a log that is being written. What it sent is whole nevertheless.
const CHANGED: &str = "file changed as we read it";

/// Bytes that may follow an archive's end: `tar` fills its last record up.
const PADDING: u64 = 1 << 20;

/// How to download.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// Whether to read as root, through `sudo -n`.
    pub sudo: bool,
    /// The most bytes that may come.
    pub limit: u64,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes that the files hold.
    pub bytes: u64,
    /// What was left out: links that lead out of the folder, devices, pipes.
    pub skipped: Vec<String>,
}

/// Fetches a file, or a folder with all that is in it, with modes and modification times; the owner is the caller.
///
/// `local` is what the file or folder will be called here. A file there is replaced; a folder is not, unless it is
/// empty. A transfer that breaks off leaves nothing.
///
/// `progress` hears how many bytes have come.
///
/// # Errors
/// [`SshError::Missing`], [`SshError::TooLarge`], [`SshError::File`] for this host's side, [`SshError::Transfer`] for
/// the machine's, [`SshError::Lost`].
pub async fn download(
    session: &Session,
    remote: &str,
    local: &Utf8Path,
    options: &DownloadOptions,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Downloaded> {
    let path = RemotePath::parse(remote)?;
    let stage = on_a_thread({
        let local = local.to_owned();
        move || Stage::beside(local)
    })
    .await?;
    let command = command(session, SEND, &[&path.parent, &path.name], options.sudo);
    let events = session.exec(&command).await?.events;

    let come = Arc::new(AtomicU64::new(0));
    let (give, mut input) = reader();
    let receive = on_a_thread({
        let job = Job { path: remote.to_owned(), limit: options.limit, come: Arc::clone(&come) };
        let root = stage.content();
        move || {
            let unpacked = unpack(&mut input, &root, &job)?;
            std::io::copy(&mut input.take(PADDING), &mut std::io::sink()).map_err(SshError::file("downloading"))?;
            Ok(unpacked)
        }
    });
    let (unpacked, outcome) = tokio::join!(receive, hand_over(events, give, || progress(come.load(Ordering::Relaxed))));
    let doing = format!("downloading {remote}");
    let Some(outcome) = outcome? else {
        let why = "the machine sent more than an archive".to_owned();
        return Err(unpacked.err().unwrap_or(SshError::Transfer { doing, why }));
    };
    let words = String::from_utf8_lossy(&outcome.stderr);
    match outcome.code {
        Some(MISSING) if words.is_empty() => return Err(SshError::Missing { path: remote.to_owned() }),
        Some(0) => {}
        Some(1) if words.contains(CHANGED) => {}
        _ => return Err(failed(doing, &outcome)),
    }
    let Unpacked { folder, skipped } = unpacked?;
    on_a_thread(move || stage.finish(folder)).await?;
    Ok(Downloaded { bytes: come.load(Ordering::Relaxed), skipped })
}

/// Hands a command's output over until it has ended and gives its outcome; none if the output is not taken any more.
async fn hand_over(mut events: Events, give: mpsc::Sender<Bytes>, progress: impl Fn()) -> Result<Option<Outcome>> {
    let mut stderr = Tail::new(WORDS);
    let mut outcome = Outcome::default();
    while let Some(event) = events.next().await {
        match event? {
            Event::Output(Output::Stdout, bytes) => {
                if give.send(bytes).await.is_err() {
                    return Ok(None);
                }
                progress();
            }
            Event::Output(Output::Stderr, bytes) => stderr.push(&bytes),
            Event::Exited(code) => outcome.code = Some(code),
            Event::Signalled { name } => outcome.signal = Some(name),
        }
    }
    outcome.stderr = stderr.into_bytes();
    Ok(Some(outcome))
}

/// A folder beside the one that is wanted. It goes away with this value.
struct Stage {
    folder: TempDir,
    local: Utf8PathBuf,
}

impl Stage {
    fn beside(local: Utf8PathBuf) -> Result<Self> {
        let doing = || format!("downloading to {local}");
        let Some(name) = local.file_name() else {
            return Err(SshError::Transfer { doing: doing(), why: "the path must end with a name".to_owned() });
        };
        if local.is_dir() && local.read_dir_utf8().map_err(SshError::file(doing()))?.next().is_some() {
            return Err(SshError::Transfer { doing: doing(), why: "there is a folder that is not empty".to_owned() });
        }
        let parent = match local.parent() {
            Some(parent) if parent != "" => parent,
            _ => Utf8Path::new("."),
        };
        fs_err::create_dir_all(parent).map_err(SshError::file(doing()))?;
        let prefix = format!(".{name}.rig-download-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(SshError::file(doing()))?;
        Ok(Self { folder, local })
    }

    fn content(&self) -> Utf8PathBuf {
        // The prefix and the parent are UTF-8, and tempfile adds letters and digits.
        Utf8PathBuf::from(self.folder.path().join("content").to_string_lossy().into_owned())
    }

    fn finish(self, folder: bool) -> Result<()> {
        let doing = || format!("downloading to {}", self.local);
        if folder && self.local.is_dir() {
            fs_err::remove_dir(&self.local).map_err(SshError::file(doing()))?;
        }
        fs_err::rename(self.content(), &self.local).map_err(SshError::file(doing()))
    }
}
