//! What machines write to their console, which hypervisors keep in a file.

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use rig_model::Stream;
use rig_provider_api::{LogEvent, LogRequest, ProviderError, Result};
use std::{io::SeekFrom, time::Duration};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The most that is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(200);

/// How much of the end is read to find the last lines, in bytes. A console has short lines.
const TAIL: u64 = 1 << 20;

/// A console's file; absent before the machine has written anything.
#[derive(Clone, Debug)]
pub struct Console(Utf8PathBuf);

impl Console {
    /// The console in this file.
    #[must_use]
    pub fn new(path: Utf8PathBuf) -> Self {
        Self(path)
    }

    /// What it holds, and with `follow` what comes until `goes_on` says that the machine writes no more.
    ///
    /// # Errors
    /// When times are asked for, or the file cannot be read.
    pub async fn logs(
        self,
        doing: String,
        request: &LogRequest,
        goes_on: impl Fn() -> BoxFuture<'static, Result<bool>> + Send + Sync + 'static,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        if request.since.is_some() || request.timestamps {
            return Err(ProviderError::failed(doing, "a console keeps no times")
                .hinted("leave `--since` and `--timestamps` out"));
        }
        let failed = |error| ProviderError::failed(&doing, error);
        let mut from = 0;
        if let Some(lines) = request.tail {
            let (end, length) = tail(&self.0).await.map_err(failed)?;
            from = length - last_lines(&end, lines as usize) as u64;
        }
        let follow = request.follow;
        let begin = (self.0, doing, goes_on, from, false);
        let pieces = stream::try_unfold(begin, move |(path, doing, goes_on, mut at, mut over)| async move {
            loop {
                let bytes = read(&path, at).await.map_err(|error| ProviderError::failed(&doing, error))?;
                if !bytes.is_empty() {
                    at += bytes.len() as u64;
                    let event = LogEvent { stream: Stream::Stdout, bytes };
                    return Ok(Some((event, (path, doing, goes_on, at, over))));
                }
                if !follow || over {
                    return Ok(None);
                }
                tokio::time::sleep(LOOK).await;
                // What it wrote at its end is read before this does.
                over = !goes_on().await?;
            }
        });
        Ok(pieces.boxed())
    }
}

/// The end of a console's file, and how long the file was with it, in bytes.
async fn tail(path: &Utf8Path) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = match fs_err::tokio::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let length = file.metadata().await?.len();
    let from = file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).await?;
    let mut bytes = Vec::new();
    // What is written meanwhile comes later.
    file.take(length - from).read_to_end(&mut bytes).await?;
    let read = from + bytes.len() as u64;
    Ok((bytes, read))
}

/// What a console's file has behind a place.
async fn read(path: &Utf8Path, at: u64) -> std::io::Result<Bytes> {
    let mut file = match fs_err::tokio::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Bytes::new()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(at)).await?;
    let mut bytes = Vec::with_capacity(PIECE);
    file.take(PIECE as u64).read_to_end(&mut bytes).await?;
    Ok(bytes.into())
}

/// The length of the last lines, in bytes.
fn last_lines(bytes: &[u8], lines: usize) -> usize {
    if lines == 0 {
        return 0;
    }
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut ends = whole.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    bytes.len() - ends.nth(lines - 1).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let text = b"one\ntwo\nthree\n";
        assert_eq!(last_lines(text, 1), 6);
        assert_eq!(last_lines(text, 2), 10);
        assert_eq!(last_lines(text, 9), text.len());
        assert_eq!(last_lines(text, 0), 0);
        assert_eq!(last_lines(b"", 3), 0);
        assert_eq!(last_lines(b"unfinished", 1), 10);
    }
}
