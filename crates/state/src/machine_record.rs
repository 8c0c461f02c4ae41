//! What rig knows of a machine and no provider keeps: which keys its SSH server has, and which steps were done.

use crate::{Access, Format, Layout, Result, format, layout};
use rig_model::{MachineId, StepRecord};
use serde::{Deserialize, Serialize};

const MACHINE: Format = Format { name: "rig.machine", major: 1 };

/// The record of one machine. It belongs to one identity: a machine that was made anew has another, and what the record
/// says is of no use for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The provider's own identifier of the machine.
    pub native: String,
    /// Its SSH host keys, in the form of `known_hosts` without names; they came through the provider, not over SSH.
    pub host_keys: Vec<String>,
    /// Provisioning steps that succeeded.
    pub steps: Vec<StepRecord>,
    /// Whether the machine lets in everybody who has the key that is published for boxes: a box is being made of it. The next
    /// connection ends that.
    #[serde(default)]
    pub published: bool,
    /// Whether it has copies of all its synced folders, however old they are.
    #[serde(default)]
    pub has_folders: bool,
}

impl MachineRecord {
    /// Reads a machine's record; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, is a newer rig's, or does not hold a record.
    pub fn load(layout: &Layout, machine: &MachineId) -> Result<Option<Self>> {
        format::read_json(&layout.machine(machine), MACHINE)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the file is a newer rig's, or cannot be written.
    pub fn save(&self, layout: &Layout, machine: &MachineId) -> Result<()> {
        layout.prepare()?;
        layout::create_folder(&layout.machines())?;
        format::write_json(&layout.machine(machine), MACHINE, self, Access::OwnerOnly)
    }

    /// Removes a machine's record. Absence is success.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(layout: &Layout, machine: &MachineId) -> Result<()> {
        format::remove(&layout.machine(machine))
    }

    /// Notes that a step was done, in place of what was known of it.
    pub fn note(&mut self, step: StepRecord) {
        self.steps.retain(|known| known.id != step.id);
        self.steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;
    use rig_model::{Digest, Name, StepId};

    fn step(name: &str, content: &str) -> StepRecord {
        let id = StepId { recipe: None, name: name.to_owned() };
        StepRecord { id, digest: Digest::of(content.as_bytes()), fields: Vec::new() }
    }

    #[test]
    fn a_record_is_kept_until_it_is_removed() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        let machine = MachineId::new(Name::new("lab").unwrap(), Name::new("db1").unwrap());
        assert_eq!(MachineRecord::load(&layout, &machine).unwrap(), None);
        let mut record = MachineRecord { native: "abc".to_owned(), ..MachineRecord::default() };
        record.note(step("one", "a"));
        record.note(step("two", "b"));
        record.note(step("one", "c"));
        record.save(&layout, &machine).unwrap();
        let read = MachineRecord::load(&layout, &machine).unwrap().unwrap();
        assert_eq!(read.steps, [step("two", "b"), step("one", "c")]);
        MachineRecord::remove(&layout, &machine).unwrap();
        MachineRecord::remove(&layout, &machine).unwrap();
        assert_eq!(MachineRecord::load(&layout, &machine).unwrap(), None);
    }
}
