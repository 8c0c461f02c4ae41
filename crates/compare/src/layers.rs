//! Layers of images, which topologies may share.

use crate::{Comparison, Detail, Measured, Reading, RunOutcome, Scenario, catalogue};
use rig_model::{Bytes, Name};
use std::collections::{BTreeMap, BTreeSet};

/// The metric whose details are layers.
const TOTAL: &str = "size.image-bytes";
/// The metric that needs to know the layers of all topologies.
const UNIQUE: &str = "size.image-unique-bytes";

/// What ends the class of a layer's detail.
const UNIT: &str = " bytes";

/// A layer as a part of [`TOTAL`].
#[must_use]
pub fn detail(id: &str, bytes: Bytes) -> Detail {
    Detail::of_class(id, format!("{}{UNIT}", bytes.0))
}

fn layer(detail: &Detail) -> Option<(&str, f64)> {
    let bytes: u64 = detail.class.as_ref()?.strip_suffix(UNIT)?.parse().ok()?;
    Some((&detail.text, bytes as f64))
}

/// Fills in what of its images a topology shares with no other one: only when each was measured is it known. Of the others
/// the last run counts.
pub fn tell_unique(comparison: &mut Comparison) {
    let Some(metric) = catalogue::find(UNIQUE) else { return };
    let mut known: BTreeMap<Name, BTreeSet<String>> = BTreeMap::new();
    for run in comparison.runs.iter().filter(|run| run.scenario == Scenario::Size) {
        let total = run.values().iter().find(|value| value.metric == TOTAL);
        let layers = total.into_iter().flat_map(|total| &total.details).filter_map(layer);
        let ids: BTreeSet<String> = layers.map(|(id, _)| id.to_owned()).collect();
        if !ids.is_empty() {
            known.insert(run.topology.clone(), ids);
        }
    }
    let missing: Vec<String> = comparison
        .topologies
        .iter()
        .filter(|topology| !known.contains_key(&topology.name))
        .map(|topology| topology.name.to_string())
        .collect();
    for run in comparison.runs.iter_mut().filter(|run| run.scenario == Scenario::Size) {
        let RunOutcome::Measured { values } = &mut run.outcome else { continue };
        let Some(total) = values.iter().find(|value| value.metric == TOTAL) else { continue };
        let value = match &total.reading {
            Reading::Missing(why) => Measured::missing(metric, why.clone()),
            Reading::Value(_) if !missing.is_empty() => {
                Measured::missing(metric, format!("the layers of {} are not known", missing.join(" and ")))
            }
            Reading::Value(_) => {
                let others = || known.iter().filter(|(name, _)| **name != run.topology).map(|(_, ids)| ids);
                let own = total.details.iter().filter_map(layer);
                let unique = own.filter(|(id, _)| !others().any(|ids| ids.contains(*id)));
                Measured::value(metric, unique.map(|(_, bytes)| bytes).sum())
            }
        };
        values.retain(|value| value.metric != UNIQUE);
        values.push(value);
    }
}
