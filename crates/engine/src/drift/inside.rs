//! Running short programs of the shell in a machine, whichever way leads into it.

use crate::{Access, EngineError, Output, command::run_with_input, provision::sudo};
use bytes::Bytes;
use rig_model::MachineSpec;
use rig_provider_api::{Context, ExecRequest, MachineRef, Provider};
use rig_ssh::quote;

/// The most that is read of what a program prints, in bytes: what is known of a hundred thousand files is a quarter of it.
const LARGEST: usize = 48 << 20;

/// The code of a program that a signal ended, as shells have it.
const SIGNALLED: i64 = 128;

/// The inside of a machine.
pub(crate) enum Inside<'a> {
    /// Through the provider.
    Exec {
        /// The provider.
        provider: &'a dyn Provider,
        /// The machine.
        machine: MachineRef,
    },
    /// Over SSH.
    Ssh {
        /// The connection.
        session: rig_ssh::Session,
        /// The machine.
        machine: MachineRef,
    },
}

impl<'a> Inside<'a> {
    /// The way into a machine: through its provider where that is possible, else over SSH.
    pub(crate) async fn enter(
        cx: &Context,
        provider: &'a dyn Provider,
        access: &Access,
        machine: &MachineSpec,
    ) -> Result<Self, EngineError> {
        let reference = access.reference(&machine.id);
        if provider.exec().is_some() {
            return Ok(Self::Exec { provider, machine: reference });
        }
        Ok(Self::Ssh { session: access.session(cx, &machine.id).await?, machine: reference })
    }

    /// Runs a program of the shell as root and gives what it printed, whatever its exit code.
    pub(crate) async fn run(&self, cx: &Context, program: &str, input: Bytes) -> Result<Output, EngineError> {
        let machine = match self {
            Self::Exec { machine, .. } | Self::Ssh { machine, .. } => machine,
        };
        let doing = format!("looking into machine {machine}");
        let output = match self {
            Self::Exec { provider, machine } => {
                let command = ["/bin/sh", "-c", program].map(str::to_owned).to_vec();
                let request = ExecRequest { command, user: Some("0".to_owned()), ..ExecRequest::default() };
                run_with_input(*provider, cx, (machine, &doing), &request, input, LARGEST).await?
            }
            Self::Ssh { session, machine } => {
                let line = format!("{}/bin/sh -c {}", sudo(session), quote(program));
                let run = async { Ok(session.run(&line, Some(input), LARGEST).await) };
                let outcome = cx.run(&doing, run).await?;
                let outcome = outcome.map_err(|error| EngineError::ssh(&machine.id, error))?;
                let code = outcome.code.map_or(SIGNALLED, i64::from);
                Output { code, stdout: outcome.stdout, stderr: outcome.stderr }
            }
        };
        if output.stdout.len() >= LARGEST {
            return Err(EngineError::Host {
                doing,
                why: format!("it has more files than fit into {} MiB of their names", LARGEST >> 20),
            });
        }
        Ok(output)
    }
}
