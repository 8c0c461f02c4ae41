//! Why a step cannot be made.

use rig_model::{MachineId, Origin, StepId};

/// Why a step cannot be made. Nothing has been touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A file that a step names cannot be read.
    #[error("{origin}: {why}")]
    Unreadable {
        /// The step that names it.
        origin: Origin,
        /// What went wrong, with the file's path.
        why: String,
    },
    /// A template is not one, or names what it is not given.
    #[error("{file}:{line}: {why}")]
    Template {
        /// The template, relative to the workspace file's folder.
        file: String,
        /// The line, from 1.
        line: u32,
        /// What is wrong with it.
        why: String,
        /// What it may name.
        known: Vec<String>,
    },
    /// A value depends on an address that is not known.
    #[error("{origin}: step `{step}` of machine {machine} depends on an address that is not known")]
    Unresolved {
        /// The machine.
        machine: MachineId,
        /// The step.
        step: StepId,
        /// Where it was declared.
        origin: Origin,
    },
}

impl RecipeError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => {
                Some("paths are relative to the workspace file, in a recipe to its folder".into())
            }
            Self::Template { known, .. } if !known.is_empty() => Some(format!("it can name {}", known.join(", "))),
            Self::Template { .. } | Self::Unresolved { .. } => None,
        }
    }
}
