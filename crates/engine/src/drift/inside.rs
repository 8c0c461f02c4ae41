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
pub(crate) struct Inside<'a> {
    /// The machine.
    pub(super) machine: MachineRef,
    way: Way<'a>,
}

/// How a machine is entered.
enum Way<'a> {
    /// Through its provider.
    Exec(&'a dyn Provider),
    /// Over SSH.
    Ssh(rig_ssh::Session),
}

impl<'a> Inside<'a> {
    /// The way into a machine: through its provider where that is possible, else over SSH.
    pub(crate) async fn enter(cx: &Context, access: &'a Access, machine: &MachineSpec) -> Result<Self, EngineError> {
        let provider = access.provider(&machine.id)?.as_ref();
        let way = if provider.exec().is_some() {
            Way::Exec(provider)
        } else {
            Way::Ssh(access.session(cx, &machine.id).await?)
        };
        Ok(Self { machine: access.reference(&machine.id), way })
    }

    /// Runs a program of the shell as root and gives what it printed, whatever its exit code.
    pub(crate) async fn run(&self, cx: &Context, program: &str, input: Bytes) -> Result<Output, EngineError> {
        self.run_as(cx, "0", program, input).await
    }

    /// The same as another user, in the form `uid:gid`. Over SSH it is root all the same, who may do what that user may.
    pub(crate) async fn run_as(
        &self,
        cx: &Context,
        user: &str,
        program: &str,
        input: Bytes,
    ) -> Result<Output, EngineError> {
        let machine = &self.machine;
        let doing = format!("looking into machine {machine}");
        let output = match &self.way {
            Way::Exec(provider) => {
                let command = ["/bin/sh", "-c", program].map(str::to_owned).to_vec();
                // The folder of the machine's service may be closed to root, who has no rights over the files of others in
                // some machines; programs that cannot return to where they began give up.
                let workdir = Some("/".to_owned());
                let request = ExecRequest { command, user: Some(user.to_owned()), workdir, ..ExecRequest::default() };
                run_with_input(*provider, cx, (machine, &doing), &request, input, LARGEST).await?
            }
            Way::Ssh(session) => {
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

    /// Reads the beginning of a file; `None` when there is nothing in that place.
    pub(super) async fn read(&self, cx: &Context, path: &str, limit: usize) -> Result<Option<Bytes>, EngineError> {
        let quoted = quote(path);
        let program = format!(
            "[ -e {quoted} ] || [ -L {quoted} ] || exit 3; [ -f {quoted} ] && [ ! -L {quoted} ] || exit 4; head -c {limit} -- {quoted}"
        );
        let output = self.run(cx, &program, Bytes::new()).await?;
        let failed = |why| EngineError::Host { doing: format!("reading {path} in machine {}", self.machine), why };
        match output.code {
            0 => Ok(Some(output.stdout.into())),
            3 => Ok(None),
            4 => Err(failed("it is a folder, a link or a special file".to_owned())),
            code => Err(failed(format!("exit code {code}: {}", String::from_utf8_lossy(&output.stderr).trim()))),
        }
    }
}
