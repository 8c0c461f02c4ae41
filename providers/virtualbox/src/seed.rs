//! The disk that tells a machine of a box that rig makes who it is. It reads it at every start.

use crate::{
    bootstrap::CONTROLLER, label::MachineLabel, layout::Place, observe::Found, provider::VirtualBoxProvider,
    runner::words,
};
use rig_hypervisor::{Card, Guest, Keys, Lock, NAT, Seed, files, hosts, neighbours};
use rig_model::MachineId;
use rig_provider_api::{Context, ProviderError, Result};
use std::net::Ipv4Addr;

/// The hardware address of the first card. Nobody else sees it.
pub(crate) const FIRST_CARD: &str = "08:00:27:00:00:01";

impl VirtualBoxProvider {
    /// Gives a machine that is being made a disk with nothing on it. Snapshots of the machine leave it out: what it says is true now.
    pub(crate) async fn attach_seed(&self, cx: &Context, doing: &str, place: &Place, identity: &str) -> Result<()> {
        let (disk, _) = place.seed();
        // Its size is in MiB.
        let options = ["--size", "1", "--format", "VMDK", "--variant", "Fixed"];
        let mut create = words(["createmedium", "disk", "--filename", disk.as_str()]);
        create.extend(words(options));
        self.runner.run(cx, doing, &create).await?;
        let mut attach = words(["storageattach", identity, "--storagectl", CONTROLLER, "--port", "2", "--device", "0"]);
        attach.extend(words(["--type", "hdd", "--mtype", "writethrough", "--medium", disk.as_str()]));
        self.runner.run_patiently(cx, doing, &attach).await.map(drop)
    }

    /// Writes what a machine reads at the start that follows; gives the neighbours that it learns of.
    pub(crate) async fn write_seed(
        &self,
        cx: &Context,
        doing: &str,
        found: &Found,
        of_machine: Lock,
    ) -> Result<Option<Vec<MachineId>>> {
        let (Some(label), Some(own)) = (found.label.clone(), found.guest()) else { return Ok(None) };
        let all = self.all_of(cx, doing, &label.workspace).await?;
        let (place, identity) = (found.place.clone(), found.identity.clone());
        let write = files::blocking(doing, move || {
            let _held = of_machine;
            let guests: Vec<Guest> = all.iter().filter_map(Found::guest).collect();
            let keys = Keys::load(&place.keys())?;
            let image = image((&label, &identity), keys.as_ref(), &hosts(&own, &guests));
            let image =
                image.map_err(|error| ProviderError::failed(format!("writing the seed of {}", label.id), error))?;
            files::write(&place.seed().1, &image)?;
            Ok(neighbours(&own, &guests).map(|other| other.id.clone()).collect())
        });
        cx.run(doing, write).await.map(Some)
    }
}

/// The disk's bytes.
fn image(
    (label, identity): (&MachineLabel, &str),
    keys: Option<&Keys>,
    hosts: &[(String, Ipv4Addr)],
) -> std::io::Result<Vec<u8>> {
    let (ip, prefix, gateway) = NAT;
    let mut cards = vec![Card { mac: FIRST_CARD.to_owned(), ip, prefix, gateway: Some(gateway) }];
    cards.extend(label.cards.iter().map(|card| Card {
        mac: card.mac.clone(),
        ip: card.ip,
        prefix: card.prefix,
        gateway: None,
    }));
    Seed { cards: &cards, hosts, ..Seed::new(identity, &label.hostname, keys) }.image()
}
