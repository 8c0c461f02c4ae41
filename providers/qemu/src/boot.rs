//! How machines boot, and who tells them who they are.

use crate::layout::BoxPlace;
use camino::Utf8PathBuf;
use rig_provider_api::Introduction;
use serde::{Deserialize, Serialize};

/// How machines of a box boot, and who tells them who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Boot {
    /// By a kernel beside their disk, which rig's own boxes have. They read the seed at every start.
    #[default]
    Kernel,
    /// By what is on their disk. They read the seed at their first start.
    CloudImage,
    /// By what is on their disk. They know nothing of rig.
    Stored,
}

impl Boot {
    /// Of a box that comes from somewhere else.
    pub(crate) fn of(introduction: Introduction) -> Self {
        match introduction {
            Introduction::Seed => Self::CloudImage,
            Introduction::FirstContact => Self::Stored,
        }
    }

    /// The disk of a box, which those of its machines lie over, and its format in QEMU's words.
    pub(crate) fn disk(self, place: &BoxPlace) -> (Utf8PathBuf, &'static str) {
        match self {
            Self::Kernel => (place.disk(), "raw"),
            Self::CloudImage | Self::Stored => (place.whole_disk(), "qcow2"),
        }
    }
}
