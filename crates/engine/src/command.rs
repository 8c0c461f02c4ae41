//! Running a command inside a machine to its end.

use bytes::Bytes;
use futures_util::StreamExt;
use rig_model::Stream;
use rig_provider_api::{Context, ExecEvent, ExecRequest, MachineRef, Provider, ProviderError, Result};
use tokio::io::AsyncWriteExt;

/// What a command left behind.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Its exit code.
    pub code: i64,
    /// The end of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

/// Runs a command and keeps the last `keep` bytes of each of its streams.
///
/// # Errors
/// When it cannot be run, or the context ends first.
pub async fn run_command(
    provider: &dyn Provider,
    cx: &Context,
    machine: &MachineRef,
    request: &ExecRequest,
    keep: usize,
) -> Result<Output> {
    let doing = format!("running {} in machine {machine}", request.command.join(" "));
    run_with_input(provider, cx, (machine, &doing), request, Bytes::new(), keep).await
}

/// Runs a command that reads `input`, and keeps the last `keep` bytes of each of its streams. `doing` says what for.
///
/// # Errors
/// When it cannot be run, or the context ends first.
pub(crate) async fn run_with_input(
    provider: &dyn Provider,
    cx: &Context,
    (machine, doing): (&MachineRef, &str),
    request: &ExecRequest,
    input: Bytes,
    keep: usize,
) -> Result<Output> {
    let exec = provider
        .exec()
        .ok_or_else(|| ProviderError::failed(doing, format!("provider {} cannot run commands", provider.id())))?;
    cx.run(doing, async {
        let request = ExecRequest { stdin: request.stdin || !input.is_empty(), ..request.clone() };
        let mut session = exec.exec(cx, machine, &request).await?;
        let stdin = session.stdin.take();
        let write = async {
            // A command may end without reading it all.
            if let Some(mut stdin) = stdin
                && stdin.write_all(&input).await.is_ok()
            {
                let _ = stdin.shutdown().await;
            }
        };
        let read = async {
            let mut output = Output::default();
            while let Some(event) = session.events.next().await {
                match event? {
                    ExecEvent::Output(Stream::Stdout, bytes) => append(&mut output.stdout, &bytes, keep),
                    ExecEvent::Output(Stream::Stderr, bytes) => append(&mut output.stderr, &bytes, keep),
                    ExecEvent::Exit(code) => {
                        output.code = code;
                        return Ok(output);
                    }
                }
            }
            Err(ProviderError::failed(doing, "the connection was cut before the command ended"))
        };
        // Both at once: a command that prints while it reads would wait for ever for a reader that still writes. Its end is
        // the end, whether it has read everything or not.
        let (mut write, mut read) = (std::pin::pin!(write), std::pin::pin!(read));
        let mut written = false;
        loop {
            tokio::select! {
                output = &mut read => return output,
                () = &mut write, if !written => written = true,
            }
        }
    })
    .await
}

fn append(kept: &mut Vec<u8>, bytes: &[u8], keep: usize) {
    kept.extend_from_slice(bytes);
    // Cut now and then, not for every piece.
    if kept.len() > keep * 2 {
        kept.drain(..kept.len() - keep);
    }
}
