//! What machines write to their console, which QEMU keeps in a file.

use crate::{QemuProvider, layout::MachinePlace};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use rig_model::Stream;
use rig_provider_api::{Context, LogEvent, LogRequest, Logs, MachineRef, ProviderError, Result};
use std::{io::SeekFrom, time::Duration};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The most that is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// How often it is looked whether there is more.
const LOOK: Duration = Duration::from_millis(200);

/// How much of the end is read to find the last lines, in bytes. A console has short lines.
const TAIL: u64 = 1 << 20;

/// The end of a console's file, and how long the file was with it, in bytes.
async fn tail(place: &MachinePlace) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = match fs_err::tokio::File::open(place.console()).await {
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

#[async_trait]
impl Logs for QemuProvider {
    async fn logs(
        &self,
        cx: &Context,
        machine: &MachineRef,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        let doing = format!("reading the console of machine {machine}");
        if request.since.is_some() || request.timestamps {
            return Err(ProviderError::failed(doing, "a console keeps no times")
                .hinted("leave `--since` and `--timestamps` out"));
        }
        self.record(cx, &doing, machine).await?;
        let place = self.layout.machine(machine);
        let failed = |error| ProviderError::failed(&doing, error);
        let mut from = 0;
        if let Some(lines) = request.tail {
            let (end, length) = tail(&place).await.map_err(failed)?;
            from = length - last_lines(&end, lines as usize) as u64;
        }
        let (provider, cx, machine, follow) = (self.clone(), cx.clone(), machine.clone(), request.follow);
        let pieces = futures_util::stream::try_unfold((from, false), move |(at, over)| {
            let (provider, cx, machine, place, doing) =
                (provider.clone(), cx.clone(), machine.clone(), place.clone(), doing.clone());
            async move {
                let (mut at, mut over) = (at, over);
                loop {
                    let bytes = read(&place, at).await.map_err(|error| ProviderError::failed(&doing, error))?;
                    if !bytes.is_empty() {
                        at += bytes.len() as u64;
                        let event = LogEvent { stream: Stream::Stdout, bytes };
                        return Ok(Some((event, (at, over))));
                    }
                    if !follow || over {
                        return Ok(None);
                    }
                    tokio::time::sleep(LOOK).await;
                    // What it wrote at its end is read before this does.
                    let look = cx.within(Duration::from_secs(30));
                    over = match provider.found(&look, &machine).await? {
                        Some(record) => !provider.state(&look, &record).await?.is_running(),
                        None => return Ok(None),
                    };
                }
            }
        });
        Ok(pieces.boxed())
    }
}

/// What a console's file has behind a place.
async fn read(place: &MachinePlace, at: u64) -> std::io::Result<Bytes> {
    let mut file = match fs_err::tokio::File::open(place.console()).await {
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
