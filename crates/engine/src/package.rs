//! Making a box of a machine.

use crate::{EngineError, Session};
use camino::Utf8Path;
use rig_model::{MachineId, MachineState, Progress};
use rig_provider_api::{Context, MachineRef, PackagedFiles, Provider, StopMode};
use std::time::Duration;

/// Writes what a box of a machine consists of into an empty folder, but for what boxes say of themselves. The machine is stopped
/// for that, and afterwards it is as it was. While it is exported it lets in everybody who has the key that is published for boxes,
/// as whoever makes machines of the box expects; the first connection afterwards ends that, also after a call that was cut.
///
/// # Errors
/// When its provider makes no boxes of machines, it cannot be entered, or the export fails.
pub async fn package(
    cx: &Context,
    session: &Session,
    machine: &MachineId,
    folder: &Utf8Path,
) -> Result<PackagedFiles, EngineError> {
    let provider = session.providers.of(machine)?.as_ref();
    let lacks = || EngineError::Capability {
        provider: provider.id().to_string(),
        capability: "boxes of machines",
        wanted_for: format!("packaging machine {machine}"),
    };
    let packaging = provider.packaging().ok_or_else(lacks)?;
    let reference = MachineRef { workspace: session.workspace.name.clone(), id: machine.clone() };
    packaging.check(cx, &reference).await?;
    let state = provider.inspect(cx, &reference).await?.map(|seen| seen.state);
    let ran = match state {
        Some(MachineState::Running) => true,
        Some(MachineState::Exited | MachineState::Created) => false,
        state => {
            let state = state.map_or_else(|| "not there".to_owned(), |state| state.to_string());
            return Err(EngineError::NotRunning { machine: machine.clone(), state });
        }
    };
    let say = |what: &str| cx.progress(Progress::step(what));
    let grace = session.workspace.machine(machine).map(|spec| spec.stop_timeout).unwrap_or_default();
    let work = async {
        if !ran {
            say("starting it, to let the published key in");
            provider.start(cx, &reference).await?;
        }
        say("letting the published key in");
        session.access.publish(cx, machine).await?;
        say("stopping it");
        provider.stop(cx, &reference, StopMode::Graceful(grace)).await?;
        Ok(packaging.package(cx, &reference, folder).await?)
    };
    let packaged: Result<PackagedFiles, EngineError> = work.await;
    say("taking the published key out again");
    // Also when the user has interrupted: nobody else would.
    let back = restore(&Context::alone(BACK), session, provider, &reference, ran, grace).await;
    let packaged = packaged?;
    back?;
    Ok(packaged)
}

/// How long a machine may take until it is as it was.
const BACK: Duration = Duration::from_secs(300);

/// Starts a machine, so that the key goes that everybody has, and leaves it as it was.
async fn restore(
    cx: &Context,
    session: &Session,
    provider: &dyn Provider,
    machine: &MachineRef,
    ran: bool,
    grace: Duration,
) -> Result<(), EngineError> {
    session.access.forget(&machine.id).await;
    provider.start(cx, machine).await?;
    session.access.session(cx, &machine.id).await?;
    if !ran {
        provider.stop(cx, machine, StopMode::Graceful(grace)).await?;
    }
    Ok(())
}
