//! How a text file in a machine differs from what it was.

use super::{Since, baseline, inside::Inside};
use crate::{EngineError, Session};
use bytes::Bytes;
use rig_model::{MachineSpec, ObservedMachine};
use rig_provider_api::Context;
use rig_state::Layout;

/// The largest text that is compared, in bytes.
const LARGEST: usize = 1 << 20;

/// A text file as it was and as it is; absent where there is no such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextDrift {
    /// What it was.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
}

/// Reads a text file of a machine as it is, and as it was after `up`, in the box, or when a snapshot was taken.
///
/// # Errors
/// When nobody knows what it was, it is no text or too large, or the machine cannot be entered.
pub async fn text_drift(
    cx: &Context,
    session: &Session,
    layout: &Layout,
    (machine, seen): (&MachineSpec, &ObservedMachine),
    path: &str,
    since: Since,
) -> Result<TextDrift, EngineError> {
    let provider = session.providers.having(seen)?;
    let access = session.access.as_ref();
    let doing = format!("comparing {path} of machine {}", machine.id);
    let failed = |why: String| EngineError::Host { doing: doing.clone(), why };
    if !seen.state.is_running() {
        return Err(EngineError::NotRunning { machine: machine.id.clone(), state: seen.state.to_string() });
    }
    let kept = baseline::load(layout, seen, &since).await?;
    let text = |bytes: Bytes| {
        if bytes.len() >= LARGEST {
            return Err(failed(format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        String::from_utf8(bytes.into()).map_err(|_| failed("it is no text".to_owned()))
    };
    if !path.starts_with('/') || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return Err(failed("name the file by its absolute path, as the machine has it".to_owned()));
    }
    let old = match kept.as_ref().map(|kept| (kept.texts.get(path), kept.manifest.files.get(path))) {
        Some((Some(text), _)) => Some(text.clone()),
        Some((None, Some(_))) => {
            return Err(failed(
                "what it held then was not kept: only configuration is that everybody in the machine may read, no templates, up to 64 KiB"
                    .to_owned(),
            ));
        }
        Some((None, None)) if kept.as_ref().is_some_and(|kept| kept.manifest.removed.contains(path)) => None,
        // Nothing had touched it: it was what the box has.
        _ => {
            let changes = provider.changes().ok_or_else(|| EngineError::Capability {
                provider: provider.id().to_string(),
                capability: "changes",
                wanted_for: format!("reading {path} in the box of machine {}", machine.id),
            })?;
            let reference = access.reference(&machine.id);
            changes.original(cx, &reference, path, LARGEST).await?.map(text).transpose()?
        }
    };
    let inside = Inside::enter(cx, access, machine).await?;
    let new = inside.read(cx, path, LARGEST).await?.map(text).transpose()?;
    Ok(TextDrift { old, new })
}
