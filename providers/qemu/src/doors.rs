//! How machines are entered: the keys that they are given, and the port of this host that leads to their SSH server.

use crate::{QemuProvider, files, layout::MachinePlace, life, record::Record, seed::hosts_file};
use async_trait::async_trait;
use rig_model::{MachineId, MachineState};
use rig_provider_api::{Context, Door, DoorKeys, Doors, MachineRef, ProviderError, Result};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use zeroize::{Zeroize, Zeroizing};

/// The keys of a machine, as they lie on disk for their owner alone.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) user: String,
    pub(crate) authorized_key: String,
    pub(crate) host_key: String,
    pub(crate) public_host_key: String,
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.host_key.zeroize();
    }
}

impl Keys {
    /// The keys of a machine; nothing before it was given any.
    pub(crate) fn load(place: &MachinePlace) -> Result<Option<Self>> {
        let path = place.keys();
        let Some(text) = files::read(&path)?.map(Zeroizing::new) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
    }

    fn save(&self, place: &MachinePlace) -> Result<()> {
        let text = Zeroizing::new(serde_json::to_string_pretty(self).unwrap_or_default());
        files::write(&place.keys(), text.as_bytes())
    }
}

#[async_trait]
impl Doors for QemuProvider {
    async fn furnish(&self, cx: &Context, machine: &MachineRef, keys: &DoorKeys) -> Result<()> {
        let doing = format!("giving machine {machine} its keys");
        let record = self.record(cx, &doing, machine).await?;
        if self.state(cx, &record).await?.is_running() {
            // What runs has read its keys.
            return Ok(());
        }
        let (place, keys) = (self.layout.machine(machine), keys.clone());
        let work = files::blocking(&doing, move || {
            let mut own = Keys {
                user: keys.user,
                authorized_key: keys.authorized_key,
                host_key: keys.host_key.to_string(),
                public_host_key: keys.public_host_key,
            };
            if let Some(known) = Keys::load(&place)? {
                own.host_key.zeroize();
                own.host_key.clone_from(&known.host_key);
                own.public_host_key.clone_from(&known.public_host_key);
            }
            own.save(&place)
        });
        cx.run(&doing, work).await
    }

    async fn door(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Door>> {
        let doing = format!("looking for the SSH server of machine {machine}");
        let Some(record) = self.found(cx, machine).await? else { return Ok(None) };
        if !self.state(cx, &record).await?.is_running() {
            return Ok(None);
        }
        let Record { run: Some(run), .. } = record else { return Ok(None) };
        let place = self.layout.machine(machine);
        let keys = cx.run(&doing, files::blocking(&doing, move || Keys::load(&place))).await?;
        Ok(Some(Door {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, run.ssh)),
            host_keys: keys.map(|keys| keys.public_host_key.clone()).into_iter().collect(),
        }))
    }

    async fn strangers(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<(MachineId, String)>> {
        let doing = format!("looking for the neighbours of machine {machine}");
        let record = self.record(cx, &doing, machine).await?;
        let machines = self.layout.machines();
        let all = cx.run(&doing, files::blocking(&doing, move || Record::all(&machines))).await?;
        let mut strangers = Vec::new();
        for other in all.iter().filter(|other| life::is_neighbour(&record, other)) {
            let started_before = other.run.as_ref().is_some_and(|run| run.started < record.created);
            if started_before && self.state(cx, other).await? == MachineState::Running {
                strangers.push((other.id.clone(), hosts_file(&life::hosts(other, &all))));
            }
        }
        Ok(strangers)
    }
}
