//! A topology grows, breaks and is changed.

use super::{
    clock::value,
    lab::{LabError, Variation},
    life::Life,
};
use rig_compare::{Detail, Measured};
use rig_model::{Action, MachineId, Name};
use rig_provider_api::StopMode;
use std::time::Instant;

impl Life<'_> {
    /// One node more, until it has registered; then it leaves again.
    pub(super) async fn scale_out(&self) -> Result<Vec<Measured>, LabError> {
        self.up().await?;
        let group = self.group()?;
        let count = self.topology()?.counts.get(group).copied().unwrap_or_default();
        let more = Variation { counts: vec![(group.clone(), count + 1)], ..Variation::default() };
        let elapsed = self.lab.up(&self.slot.topology, &more).await?.elapsed;
        self.up().await?;
        Ok(value("scale-out.registered", elapsed.as_secs_f64()).into_iter().collect())
    }

    /// Everything is stopped, and killed, until it is ready again.
    pub(super) async fn restart(&self) -> Result<Vec<Measured>, LabError> {
        self.up().await?;
        let halted = self.lab.halt(&self.slot.topology).await?.elapsed;
        let stopped = halted + self.up().await?.elapsed;
        let machines = self.machines().await?;
        let began = Instant::now();
        let cx = self.look();
        let references: Vec<_> = machines.iter().map(|(_, seen)| self.reference(&seen.id)).collect();
        let kills = references.iter().map(|machine| async {
            Ok::<_, LabError>(self.provider(&machine.id)?.stop(&cx, machine, StopMode::Kill).await?)
        });
        futures_util::future::try_join_all(kills).await?;
        let killed = began.elapsed() + self.up().await?.elapsed;
        let values =
            [value("restart.stop-ready", stopped.as_secs_f64()), value("restart.kill-ready", killed.as_secs_f64())];
        Ok(values.into_iter().flatten().collect())
    }

    /// A node is lost with all that was in it, until the topology is whole again.
    pub(super) async fn replace(&self) -> Result<Vec<Measured>, LabError> {
        self.up().await?;
        let group = self.group()?;
        let machines = self.machines().await?;
        let lost = machines.iter().filter(|(spec, _)| spec.group == *group).max_by_key(|(spec, _)| spec.index);
        let (lost, _) = lost.ok_or_else(|| LabError::Failed(format!("group {group} has no machine that runs")))?;
        let began = Instant::now();
        self.provider(&lost.id)?.destroy(&self.look(), &self.reference(&lost.id)).await?;
        let elapsed = began.elapsed() + self.up().await?.elapsed;
        Ok(value("replace.whole", elapsed.as_secs_f64()).into_iter().collect())
    }

    /// A new setting, until every machine runs with it.
    pub(super) async fn change(&self) -> Result<Vec<Measured>, LabError> {
        self.up().await?;
        let change = self.setup.change.clone().ok_or_else(|| LabError::Failed("nothing changes".to_owned()))?;
        let what = format!("{}={}", change.0, change.1);
        let varied = Variation { variables: vec![change], ..Variation::default() };
        let deed = self.lab.up(&self.slot.topology, &varied).await?;
        if deed.changes().next().is_none() {
            let topology = &self.slot.topology;
            return Err(LabError::Failed(format!("{what} changes nothing in topology {topology}")));
        }
        // A machine that is new is none that was replaced.
        let gone = |id: &MachineId| {
            deed.changes().any(|action| matches!(action, Action::DestroyMachine { machine } if machine == id))
        };
        let made: Vec<Detail> = deed
            .changes()
            .filter_map(|action| match action {
                Action::CreateMachine { machine } if gone(&machine.id) => {
                    Some(Detail::new(machine.id.machine.to_string()))
                }
                _ => None,
            })
            .collect();
        let values = [
            value("change.rolled-out", deed.elapsed.as_secs_f64()),
            value("change.machines-replaced", made.len() as f64).map(|value| value.with_details(made)),
        ];
        Ok(values.into_iter().flatten().collect())
    }

    fn group(&self) -> Result<&Name, LabError> {
        self.setup.node(&self.slot.topology).ok_or_else(|| LabError::Failed("no node is named".to_owned()))
    }
}
