//! Whether two comparisons were made under the same circumstances.

use crate::Comparison;
use rig_model::Digest;
use std::fmt;

/// Something that is not the same in two comparisons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What it is, in words.
    pub what: &'static str,
    /// What the earlier one says.
    pub earlier: String,
    /// What this one says.
    pub now: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} there, {} here", self.what, self.earlier, self.now)
    }
}

/// What keeps the figures of two comparisons from being set side by side: workspace, topologies, caches, machine, engine. The
/// version of rig is not among it, and neither are scenarios, seed and number of runs.
#[must_use]
pub fn mismatches(earlier: &Comparison, now: &Comparison) -> Vec<Mismatch> {
    let topologies = |comparison: &Comparison| {
        let names = comparison.topologies.iter().map(|one| format!("{} ({})", one.name, one.idiom));
        names.collect::<Vec<_>>().join(", ")
    };
    let facts = |comparison: &Comparison| {
        let host = &comparison.host;
        [
            ("workspace", comparison.workspace.to_string()),
            ("topologies", topologies(comparison)),
            ("caches", comparison.caches.to_string()),
            ("engine", host.engine.clone()),
            ("storage driver", host.storage_driver.clone()),
            ("processors", host.cpus.to_string()),
            ("memory", host.memory.to_string()),
            ("operating system", host.os.clone()),
        ]
    };
    facts(earlier)
        .into_iter()
        .zip(facts(now))
        .filter(|((_, earlier), (_, now))| earlier != now)
        .map(|((what, earlier), (_, now))| Mismatch { what, earlier, now })
        .collect()
}

impl Comparison {
    /// What keeps the runs of an interrupted comparison from being continued as this one: the circumstances, and all that
    /// decides what is run in which order. The number of runs may grow.
    #[must_use]
    pub fn obstacles_to_resuming(&self, planned: &Self) -> Vec<Mismatch> {
        let mut found = mismatches(self, planned);
        let scenarios =
            |of: &Self| of.scenarios.iter().map(|scenario| scenario.as_str()).collect::<Vec<_>>().join(", ");
        let mut compare = |what, earlier: String, now: String| {
            if earlier != now {
                found.push(Mismatch { what, earlier, now });
            }
        };
        compare("scenarios", scenarios(self), scenarios(planned));
        compare("seed", self.seed.to_string(), planned.seed.to_string());
        compare("version of rig", self.host.rig.clone(), planned.host.rig.clone());
        compare("what the topologies are made of", short(&self.subject), short(&planned.subject));
        if planned.planned_runs < self.planned_runs {
            compare("number of runs", self.planned_runs.to_string(), planned.planned_runs.to_string());
        }
        found
    }
}

/// The beginning of a hash, which tells two apart.
fn short(digest: &Digest) -> String {
    digest.as_str().chars().take(12).collect()
}
