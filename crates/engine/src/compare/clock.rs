//! Times of `up` as values.

use super::lab::Deed;
use rig_compare::{Measured, catalogue};
use rig_model::Phase;

/// The value of a metric of the catalogue.
pub(super) fn value(id: &'static str, value: f64) -> Option<Measured> {
    catalogue::find(id).map(|metric| Measured::value(metric, value))
}

/// Why a metric of the catalogue has no value.
pub(super) fn missing(id: &'static str, why: impl Into<String>) -> Option<Measured> {
    catalogue::find(id).map(|metric| Measured::missing(metric, why))
}

/// How long it took until a topology was ready, and what that time went into.
pub(super) fn ready(deed: &Deed) -> Vec<Measured> {
    let phases = catalogue::PHASES.into_iter().filter_map(|id| {
        let phase = [Phase::Fetch, Phase::Build, Phase::Create, Phase::Boot, Phase::Provision, Phase::Converge]
            .into_iter()
            .find(|phase| id.strip_prefix("up.") == Some(&phase.to_string()))?;
        let time = deed.report.critical.get(&phase).copied().unwrap_or_default();
        value(id, time.as_secs_f64())
    });
    value("up.ready", deed.elapsed.as_secs_f64()).into_iter().chain(phases).collect()
}
