//! Machine counts that `rig scale` set, which outlive the command and override the file's.

use crate::{Access, Format, Layout, Result, StateError, atomic, format};
use rig_model::Name;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io};

const SCALE: Format = Format { name: "rig.scale", major: 1 };

/// How many machines each group has, where `rig scale` said so. In memory until [`Scale::save`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    counts: BTreeMap<Name, BTreeMap<Name, u32>>,
}

impl Scale {
    /// Reads the counts; none when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, is a newer rig's, or does not hold counts.
    pub fn load(layout: &Layout) -> Result<Self> {
        Ok(format::read_json(&layout.scale(), SCALE)?.unwrap_or_default())
    }

    /// Writes the counts.
    ///
    /// # Errors
    /// When the file is a newer rig's, or cannot be written.
    pub fn save(&self, layout: &Layout) -> Result<()> {
        layout.prepare()?;
        format::write_json(&layout.scale(), SCALE, self, Access::Default)
    }

    /// Removes the file. Absence is success.
    ///
    /// # Errors
    /// When the file is a newer rig's, or cannot be removed.
    pub fn clear(layout: &Layout) -> Result<()> {
        let path = layout.scale();
        if let Err(error @ StateError::Newer { .. }) = Self::load(layout) {
            return Err(error);
        }
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { doing: "removing", path, reason: atomic::bare(error) })
            }
            _ => Ok(()),
        }
    }

    /// The count of a topology's group, if it was set.
    #[must_use]
    pub fn get(&self, topology: &Name, group: &Name) -> Option<u32> {
        self.counts.get(topology)?.get(group).copied()
    }

    /// Sets a count.
    pub fn set(&mut self, topology: Name, group: Name, count: u32) {
        self.counts.entry(topology).or_default().insert(group, count);
    }

    /// Forgets the counts of all groups that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&Name, &Name) -> bool) {
        for (topology, groups) in &mut self.counts {
            groups.retain(|group, _| keep(topology, group));
        }
        self.counts.retain(|_, groups| !groups.is_empty());
    }

    /// All counts: topology, group, machines.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Name, u32)> {
        self.counts
            .iter()
            .flat_map(|(topology, groups)| groups.iter().map(move |(group, count)| (topology, group, *count)))
    }

    /// Whether nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn counts_survive_on_disk_until_they_are_cleared() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        assert!(Scale::load(&layout).unwrap().is_empty());
        let mut scale = Scale::default();
        scale.set(name("immutable"), name("spark-worker"), 4);
        scale.set(name("naughty"), name("scale"), 0);
        scale.save(&layout).unwrap();
        let read = Scale::load(&layout).unwrap();
        assert_eq!(read, scale);
        assert_eq!(read.get(&name("immutable"), &name("spark-worker")), Some(4));
        assert_eq!(read.get(&name("immutable"), &name("other")), None);
        assert_eq!(read.iter().count(), 2);
        Scale::clear(&layout).unwrap();
        Scale::clear(&layout).unwrap();
        assert!(Scale::load(&layout).unwrap().is_empty());
    }

    #[test]
    fn a_topology_is_forgotten_alone() {
        let mut scale = Scale::default();
        scale.set(name("a"), name("x"), 1);
        scale.set(name("b"), name("x"), 2);
        scale.retain(|topology, _| *topology != name("a"));
        assert_eq!(scale.iter().collect::<Vec<_>>(), [(&name("b"), &name("x"), 2)]);
    }

    #[test]
    fn counts_of_a_newer_rig_are_not_thrown_away() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        layout.prepare().unwrap();
        fs_err::write(layout.scale(), r#"{"format": "rig.scale/9"}"#).unwrap();
        assert!(matches!(Scale::clear(&layout), Err(StateError::Newer { .. })));
        assert!(matches!(Scale::default().save(&layout), Err(StateError::Newer { .. })));
    }
}
