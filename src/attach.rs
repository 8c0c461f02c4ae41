//! Connecting this program's standard input to a command in a machine.

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinHandle,
};

/// How much is read at a time, in bytes.
const PIECE: usize = 64 << 10;

/// Passes standard input on for as long as this lives; its end is the command's end of file.
pub(crate) struct Input(JoinHandle<()>);

impl Input {
    pub(crate) fn to(mut writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(tokio::spawn(async move {
            // Standard input has no readiness on every platform; the runtime reads it on a thread of its own.
            let mut stdin = tokio::io::stdin();
            let mut buffer = vec![0; PIECE];
            loop {
                match stdin.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        if writer.write_all(&buffer[..count]).await.is_err() || writer.flush().await.is_err() {
                            return;
                        }
                    }
                }
            }
            // A command that ended meanwhile needs no end of file.
            let _ = writer.shutdown().await;
        }))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes output on as it comes. A reader that went away takes the rest of the output with it, not the command.
pub(crate) async fn pass_on(mut output: impl AsyncWrite + Unpin, bytes: &[u8]) {
    if output.write_all(bytes).await.is_ok() {
        let _ = output.flush().await;
    }
}
