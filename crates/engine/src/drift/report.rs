//! How a machine differs from what it was.

use super::{
    baseline::{self, AT_ONCE, LOOK},
    collect::Look,
};
use crate::{Access, EngineError, Session};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use rig_drift::{Drift, Manifest, compare};
use rig_model::{Idiom, MachineId, MachineSpec, Name, ObservedMachine};
use rig_provider_api::Context;
use rig_state::Layout;
use std::{collections::BTreeSet, fmt};

/// What a machine is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// What `up` made of it: the state after the last provisioning; of an immutable machine its box.
    Up,
    /// Its box.
    Box,
    /// What it was when a snapshot of this name was taken.
    Snapshot(Name),
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Box => "box",
            Self::Snapshot(name) => name.as_str(),
        })
    }
}

/// How one machine differs.
#[derive(Clone, Debug)]
pub struct MachineDrift {
    /// The machine.
    pub machine: MachineId,
    /// Whether it may change at all.
    pub idiom: Idiom,
    /// What it was compared with.
    pub since: Since,
    /// When the state that it was compared with was kept; absent for the box.
    pub taken: Option<Timestamp>,
    /// What differs.
    pub drift: Drift,
    /// What could not be compared, and why.
    pub gaps: BTreeSet<String>,
}

impl MachineDrift {
    /// Whether the machine promised not to change, and did.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        self.idiom == Idiom::Immutable && self.drift.is_violation()
    }
}

/// Compares machines with what they were; in the order in which they are given.
pub async fn machine_drift(
    cx: &Context,
    session: &Session,
    layout: &Layout,
    machines: &[(&MachineSpec, &ObservedMachine)],
    since: Since,
) -> Vec<(MachineId, Result<MachineDrift, EngineError>)> {
    let access = session.access.as_ref();
    let looks = machines.iter().map(|(machine, seen)| async {
        (machine.id.clone(), one(&cx.within(LOOK), session, access, layout, machine, seen, &since).await)
    });
    stream::iter(looks).buffered(AT_ONCE).collect().await
}

async fn one(
    cx: &Context,
    session: &Session,
    access: &Access,
    layout: &Layout,
    machine: &MachineSpec,
    seen: &ObservedMachine,
    since: &Since,
) -> Result<MachineDrift, EngineError> {
    let provider = session.providers.having(seen)?;
    if !seen.state.is_running() {
        return Err(EngineError::NotRunning { machine: machine.id.clone(), state: seen.state.to_string() });
    }
    let kept = baseline::load(layout, seen, since).await?;
    let mut gaps = BTreeSet::new();
    if provider.changes().is_none() && kept.is_none() {
        return Err(EngineError::Capability {
            provider: provider.id().to_string(),
            capability: "changes",
            wanted_for: format!("telling what machine {} has otherwise than its box", machine.id),
        });
    }
    if *since == Since::Up && kept.is_none() && machine.idiom == Idiom::Mutable && !machine.steps.is_empty() {
        gaps.insert(
            "what it was after `up` is not known, so it is compared with its box: `rig provision --force` keeps it"
                .to_owned(),
        );
    }
    let (taken, before, since) = match kept {
        Some(kept) => (Some(kept.taken), kept.manifest, since.clone()),
        None => (None, Manifest::default(), Since::Box),
    };
    let trusted = taken.map_or(0, |taken| taken.as_second());
    let look = Look::enter(cx, access, machine, trusted).await?;
    let now = look.manifest(&before).await?;
    gaps.extend(now.gaps.iter().cloned());
    let drift = compare(&before, &now, &look.classifier);
    Ok(MachineDrift { machine: machine.id.clone(), idiom: machine.idiom, since, taken, drift, gaps })
}
