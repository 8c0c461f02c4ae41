//! What a machine is told when it has been started: a box of somebody else knows nothing of its name, its networks and its folders.

use crate::label::MachineLabel;
use rig_hypervisor::{Guest, hosts, hosts_file, neighbours};
use rig_provider_api::{Briefing, CardAddress, FolderMount};

/// The file system of VirtualBox's shared folders.
const KIND: &str = "vboxsf";

/// Everything that a machine has to be told.
pub(crate) fn briefing(label: &MachineLabel, own: &Guest, all: &[Guest]) -> Briefing {
    let (hosts, machines) =
        (hosts_file(&hosts(own, all)), neighbours(own, all).map(|other| other.id.clone()).collect());
    if label.seeded {
        // It has read the rest.
        return Briefing { hosts, machines, ..Briefing::default() };
    }
    let cards = label.cards.iter();
    let folders = label.folders.iter().map(|folder| FolderMount {
        source: folder.name.clone(),
        target: folder.target.clone(),
        kind: KIND.to_owned(),
        options: if folder.writable { "rw" } else { "ro" }.to_owned(),
    });
    Briefing {
        hostname: Some(label.hostname.clone()),
        cards: cards.map(|card| CardAddress { mac: card.mac.clone(), ip: card.ip, prefix: card.prefix }).collect(),
        folders: folders.collect(),
        hosts,
        machines,
    }
}
