//! The file that keeps what a machine's steps print.

use crate::EngineError;
use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::{AsyncWriteExt, BufWriter};

/// At most so much of one step is kept, in bytes; a step that prints without end must not fill the host's disk.
const MOST: u64 = 16 << 20;

/// An open log.
pub(super) struct MachineLog {
    path: Utf8PathBuf,
    file: BufWriter<fs_err::tokio::File>,
    written: u64,
}

impl MachineLog {
    /// Opens a machine's log behind what is there, and notes which step begins.
    pub(super) async fn open(path: &Utf8Path, step: &str) -> Result<Self, EngineError> {
        let fail =
            |error: std::io::Error| EngineError::Host { doing: format!("writing {path}"), why: error.to_string() };
        if let Some(folder) = path.parent() {
            fs_err::tokio::create_dir_all(folder).await.map_err(fail)?;
        }
        let mut options = fs_err::tokio::OpenOptions::new();
        options.create(true).append(true);
        // Scripts print what they like, secrets included.
        #[cfg(unix)]
        options.mode(0o600);
        let file = options.open(path.as_std_path()).await;
        let mut log = Self { path: path.to_owned(), file: BufWriter::new(file.map_err(fail)?), written: 0 };
        log.line(&format!("== {} {step}", jiff::Timestamp::now())).await?;
        Ok(log)
    }

    /// Adds a line.
    pub(super) async fn line(&mut self, line: &str) -> Result<(), EngineError> {
        if self.written > MOST {
            return Ok(());
        }
        self.written += line.len() as u64 + 1;
        let cut = if self.written > MOST { "\n== the rest is not kept\n" } else { "\n" };
        let written = async {
            self.file.write_all(line.as_bytes()).await?;
            self.file.write_all(cut.as_bytes()).await
        };
        written.await.map_err(|error| self.failed(&error))
    }

    /// Writes what is still in memory.
    pub(super) async fn flush(&mut self) -> Result<(), EngineError> {
        self.file.flush().await.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> EngineError {
        EngineError::Host { doing: format!("writing {}", self.path), why: error.to_string() }
    }
}
