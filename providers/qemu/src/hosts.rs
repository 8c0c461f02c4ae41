//! What a machine knows of itself and of its neighbours, and the disk that tells it.

use crate::{boot::Boot, record::Record};
use rig_hypervisor::{Card, Guest, Keys, Seed};
use rig_model::Hasher;
use rig_provider_api::{ProviderError, Result};

/// The disk that tells a machine who it is, and who the others on its networks are.
pub(crate) fn seed(record: &Record, keys: Option<&Keys>, all: &[Record]) -> Result<Vec<u8>> {
    let cards: Vec<Card> = record.cards.iter().map(|card| card.card.clone()).collect();
    // Who may enter is looked at once for an instance by those who read the seed once.
    let instance = match keys.filter(|_| record.boot == Boot::CloudImage) {
        Some(keys) => {
            let mut hasher = Hasher::new("instance/1");
            hasher.part(&record.identity).part(&keys.user).part(&keys.authorized_key);
            hasher.finish().short().to_owned()
        }
        None => record.identity.clone(),
    };
    let hosts = rig_hypervisor::hosts(&guest(record), &guests(all));
    let seed = Seed { cards: &cards, hosts: &hosts, ..Seed::new(&instance, &record.hostname, keys) };
    seed.image().map_err(|error| ProviderError::failed(format!("writing the seed of machine {}", record.id), error))
}

/// The machine as its neighbours see it.
pub(crate) fn guest(record: &Record) -> Guest {
    let addresses = record.cards.iter().filter_map(|card| Some((card.network.clone()?, card.card.ip)));
    Guest { id: record.id.clone(), hostname: record.hostname.clone(), addresses: addresses.collect() }
}

/// The machines of a workspace as they see each other.
pub(crate) fn guests(all: &[Record]) -> Vec<Guest> {
    all.iter().map(guest).collect()
}
