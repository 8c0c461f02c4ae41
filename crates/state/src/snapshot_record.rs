//! What rig knew of a machine when a snapshot of it was taken.

use crate::{Access, Baseline, Format, Layout, MachineRecord, Result, format, layout};
use jiff::Timestamp;
use rig_model::{MachineId, Name};
use serde::{Deserialize, Serialize};

const SNAPSHOT: Format = Format { name: "rig.snapshot", major: 1 };

/// What belongs to one snapshot of one machine, beside what its provider keeps. Identities in it are those of the machine that
/// the snapshot was taken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// When the snapshot was taken, by its provider: a record of another time is another snapshot's.
    pub taken: Timestamp,
    /// The box's reference that the machine was made from.
    pub image: String,
    /// Host keys and steps that were done.
    pub machine: Option<MachineRecord>,
    /// What had been in it when it had been provisioned.
    pub baseline: Option<Baseline>,
    /// What was in it; absent when it did not run or could not be looked into.
    pub contents: Option<Baseline>,
}

impl SnapshotRecord {
    /// Reads a snapshot's record; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, is a newer rig's, or does not hold such a record.
    pub fn load(layout: &Layout, machine: &MachineId, name: &Name) -> Result<Option<Self>> {
        format::read_json(&layout.snapshot(machine, name), SNAPSHOT)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the file is a newer rig's, or cannot be written.
    pub fn save(&self, layout: &Layout, machine: &MachineId, name: &Name) -> Result<()> {
        layout.prepare()?;
        layout::create_folder(&layout.snapshots())?;
        format::write_json(&layout.snapshot(machine, name), SNAPSHOT, self, Access::OwnerOnly)
    }

    /// Removes a snapshot's record. Absence is success.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(layout: &Layout, machine: &MachineId, name: &Name) -> Result<()> {
        format::remove(&layout.snapshot(machine, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    #[test]
    fn each_snapshot_has_a_record_of_its_own() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        let name = |text: &str| Name::new(text).unwrap();
        let machine = MachineId::new(name("lab"), name("db1"));
        let record = |image: &str| SnapshotRecord {
            taken: Timestamp::UNIX_EPOCH,
            image: image.to_owned(),
            machine: Some(MachineRecord { native: "abc".to_owned(), ..MachineRecord::default() }),
            baseline: None,
            contents: Some(Baseline::default()),
        };
        assert_eq!(SnapshotRecord::load(&layout, &machine, &name("one")).unwrap(), None);
        record("a").save(&layout, &machine, &name("one")).unwrap();
        record("b").save(&layout, &machine, &name("two")).unwrap();
        assert_eq!(SnapshotRecord::load(&layout, &machine, &name("one")).unwrap(), Some(record("a")));
        for _ in 0..2 {
            SnapshotRecord::remove(&layout, &machine, &name("one")).unwrap();
            assert_eq!(SnapshotRecord::load(&layout, &machine, &name("one")).unwrap(), None);
        }
        assert!(SnapshotRecord::load(&layout, &machine, &name("two")).unwrap().is_some());
    }
}
