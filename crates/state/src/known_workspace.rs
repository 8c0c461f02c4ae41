//! Where the workspaces of a user lie: machines know the name of theirs, but not its folder.

use crate::{Access, Format, Result, UserDirs, format, layout};
use camino::Utf8PathBuf;
use jiff::Timestamp;
use rig_model::Name;
use serde::{Deserialize, Serialize};

const KNOWN: Format = Format { name: "rig.known-workspace", major: 1 };

/// Where a workspace was when a command last acted on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownWorkspace {
    /// Its file.
    pub file: Utf8PathBuf,
    /// When that was.
    pub used: Timestamp,
}

impl KnownWorkspace {
    /// What is known of a workspace; `None` when no command has acted on one of that name.
    ///
    /// # Errors
    /// When the file cannot be read, is a newer rig's, or does not hold what it should.
    pub fn load(dirs: &UserDirs, workspace: &Name) -> Result<Option<Self>> {
        format::read_json(&dirs.known_workspace(workspace), KNOWN)
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the file is a newer rig's, or cannot be written.
    pub fn save(&self, dirs: &UserDirs, workspace: &Name) -> Result<()> {
        layout::create_folder(&dirs.known_workspaces())?;
        format::write_json(&dirs.known_workspace(workspace), KNOWN, self, Access::Default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    #[test]
    fn the_last_place_is_the_one_that_counts() {
        let (_guard, folder) = temporary();
        let dirs = UserDirs { cache: folder.join("cache"), data: folder.join("data") };
        let name = Name::new("lab").unwrap();
        assert_eq!(KnownWorkspace::load(&dirs, &name).unwrap(), None);
        for place in ["/a/workspace.kdl", "/b/workspace.kdl"] {
            let known = KnownWorkspace { file: place.into(), used: Timestamp::UNIX_EPOCH };
            known.save(&dirs, &name).unwrap();
            assert_eq!(KnownWorkspace::load(&dirs, &name).unwrap(), Some(known));
        }
    }
}
