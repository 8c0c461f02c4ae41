//! What a machine knows of itself and of its neighbours, and the disk that tells it.

use crate::{
    doors::Keys,
    record::{NetworkCard, Record},
    seed::{Card, Seed},
};
use rig_model::MachineId;
use rig_provider_api::{ProviderError, Result};
use std::net::Ipv4Addr;

/// Who answers for names in QEMU's user network (<https://www.qemu.org/docs/master/system/devices/net.html>).
const NAMESERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The disk that tells a machine who it is, and who the others on its networks are.
pub(crate) fn seed(record: &Record, keys: Option<&Keys>, all: &[Record]) -> Result<Vec<u8>> {
    let cards: Vec<Card> = record.cards.iter().map(|card| card.card.clone()).collect();
    let seed = Seed {
        instance: &record.identity,
        hostname: &record.hostname,
        user: keys.map_or("rig", |keys| &keys.user),
        authorized_key: keys.map_or("", |keys| &keys.authorized_key),
        host_key: keys.map_or(("", ""), |keys| (&keys.host_key, &keys.public_host_key)),
        cards: &cards,
        nameserver: NAMESERVER,
        hosts: &hosts(record, all),
    };
    seed.image().map_err(|error| ProviderError::failed(format!("writing the seed of machine {}", record.id), error))
}

/// The names that a machine knows with their addresses: its own on each of its networks, and its neighbours'.
pub(crate) fn hosts(record: &Record, all: &[Record]) -> Vec<(String, Ipv4Addr)> {
    let own = record.cards.iter().filter(|card| card.network.is_some());
    let mut hosts: Vec<_> = own.flat_map(|card| names(record).map(|name| (name, card.card.ip))).collect();
    for other in neighbours(record, all) {
        // On one of the networks that both are on: a name has one address.
        let shared = other.cards.iter().find(|card| record.cards.iter().any(|own| shares(own, card)));
        hosts.extend(shared.into_iter().flat_map(|card| names(other).map(|name| (name, card.card.ip))));
    }
    hosts
}

/// The machines that are on a network with this one.
pub(crate) fn neighbours<'a>(record: &'a Record, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    all.iter().filter(move |other| {
        record.workspace == other.workspace
            && record.id != other.id
            && record.id.topology == other.id.topology
            && record.cards.iter().any(|own| other.cards.iter().any(|card| shares(own, card)))
    })
}

/// Whether a machine was told the names of all of its neighbours in its present run.
pub(crate) fn knows_all(record: &Record, all: &[Record]) -> bool {
    let told: &[MachineId] = record.run.as_ref().map_or(&[], |run| &run.told);
    neighbours(record, all).all(|other| told.contains(&other.id))
}

fn shares(one: &NetworkCard, other: &NetworkCard) -> bool {
    one.network.is_some() && one.network == other.network
}

/// The names of a machine, its host name first.
fn names(record: &Record) -> impl Iterator<Item = String> {
    let hostname = record.hostname.clone();
    let machine = Some(record.id.machine.to_string()).filter(|name| *name != hostname);
    std::iter::once(hostname).chain(machine)
}
