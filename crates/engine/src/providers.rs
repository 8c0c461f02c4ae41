//! The providers of a workspace's machines, side by side.

use crate::EngineError;
use futures_util::future;
use rig_model::{EngineFacts, MachineId, Name, Observed, ObservedMachine, ObservedSnapshot, ProviderId, Workspace};
use rig_provider_api::{Context, ObserveScope, Provider};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What the engine of each provider is and has.
pub type Engines = BTreeMap<ProviderId, EngineFacts>;

/// Who brings machines up, and which of them brings up which machine of a workspace.
#[derive(Clone)]
pub struct Providers {
    members: BTreeMap<ProviderId, Arc<dyn Provider>>,
    homes: Arc<HashMap<MachineId, ProviderId>>,
}

impl Providers {
    /// These providers for the machines of a workspace.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = Arc<dyn Provider>>, workspace: &Workspace) -> Self {
        let homes = workspace.machines().map(|machine| (machine.id.clone(), machine.provider.clone()));
        Self {
            members: members.into_iter().map(|provider| (provider.id().clone(), provider)).collect(),
            homes: Arc::new(homes.collect()),
        }
    }

    /// The same providers for the machines of another workspace.
    #[must_use]
    pub fn of_workspace(&self, workspace: &Workspace) -> Self {
        Self::new(self.members.values().cloned(), workspace)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.members.values()
    }

    /// A provider by its name.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn get(&self, id: &ProviderId) -> Result<&Arc<dyn Provider>, EngineError> {
        self.members.get(id).ok_or_else(|| EngineError::NoProvider { provider: id.clone() })
    }

    /// Who brings a machine up that the file declares.
    ///
    /// # Errors
    /// When the file does not declare it, or its provider is none of these.
    pub fn of(&self, machine: &MachineId) -> Result<&Arc<dyn Provider>, EngineError> {
        self.get(self.homes.get(machine).ok_or_else(|| EngineError::Undeclared { machine: machine.clone() })?)
    }

    /// Who has a machine that is there.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn having(&self, seen: &ObservedMachine) -> Result<&Arc<dyn Provider>, EngineError> {
        self.get(&seen.provider)
    }

    /// What all of them are and have.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn probe(&self, cx: &Context) -> Result<Engines, EngineError> {
        let probes = self.iter().map(|provider| async { Ok((provider.id().clone(), provider.probe(cx).await?)) });
        future::try_join_all(probes).await.map(|engines| engines.into_iter().collect())
    }

    /// What all of them have of a workspace, as if it were one.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed, EngineError> {
        let looks = self.iter().map(|provider| provider.observe(cx, workspace, scope));
        let mut all = Observed::default();
        for seen in future::try_join_all(looks).await? {
            all.machines.extend(seen.machines);
            all.networks.extend(seen.networks);
            all.foreign_subnets.extend(seen.foreign_subnets);
            all.volumes.extend(seen.volumes);
            all.boxes.extend(seen.boxes);
            all.host_ports.extend(seen.host_ports);
            all.snapshots.extend(seen.snapshots);
        }
        // Each of them is in this order already; together they are not.
        all.machines.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        Ok(all)
    }

    /// The snapshots of a workspace's machines, by machine and name. A provider that takes none has nothing to list.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn snapshots(&self, cx: &Context, workspace: &Name) -> Result<Vec<ObservedSnapshot>, EngineError> {
        let lists = self
            .iter()
            .filter_map(|provider| provider.snapshots())
            .map(|provider| async { Ok::<_, EngineError>(provider.list_snapshots(cx, workspace).await?) });
        let mut list: Vec<ObservedSnapshot> = future::try_join_all(lists).await?.into_iter().flatten().collect();
        list.sort_by(|a, b| (&a.machine, &a.name).cmp(&(&b.machine, &b.name)));
        Ok(list)
    }
}
