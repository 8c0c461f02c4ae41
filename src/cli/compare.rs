//! The arguments of `rig compare`.

use super::{Cli, Command};
use camino::Utf8PathBuf;
use clap::Args;
use rig_model::Scenario;

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Topologies, the first of which the others are measured against [default: those of the file's `compare`]
    #[arg(value_name = "TOPOLOGY")]
    pub(crate) topologies: Vec<String>,
    /// How many runs of each scenario [default: the file's, else 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(rig_compare::MOST_RUNS)))]
    pub(crate) runs: Option<u32>,
    /// Only these scenarios
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) scenario: Vec<Scenario>,
    /// Begins every `up` without boxes and downloads
    #[arg(long)]
    pub(crate) cold: bool,
    /// Begins every `up` with boxes and downloads there [default]
    #[arg(long, conflicts_with = "cold")]
    pub(crate) warm: bool,
    /// Three runs of what takes least: no growing, breaking, changing, building twice
    #[arg(long, conflicts_with_all = ["runs", "scenario"])]
    pub(crate) quick: bool,
    /// Draws the order of the runs from this number [default: a new one]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u32>,
    /// Writes the report as a page for browsers
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<Utf8PathBuf>,
    /// Where `--json FILE` puts the document
    #[arg(skip)]
    pub(crate) document: Option<Utf8PathBuf>,
    /// Compares with the document of an earlier comparison; exits with 3 when something became worse
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<Utf8PathBuf>,
    /// How much worse counts, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, requires = "baseline")]
    pub(crate) threshold: f64,
    /// Shows ratios that are not fair, with the reason beside them
    #[arg(long)]
    pub(crate) unfair: bool,
    /// Forgets an interrupted comparison and begins anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Removes what an interrupted comparison left, machines and results, and does nothing else
    #[arg(long, conflicts_with_all = ["html", "baseline", "runs", "scenario", "quick", "cold", "warm", "fresh"])]
    pub(crate) remove: bool,
}

impl Cli {
    /// The same with `--json FILE` of `rig compare` understood: a file's name, which holds a dot or a slash, is no topology.
    pub(crate) fn settled(mut self) -> Self {
        if let Command::Compare(compare) = &mut self.command
            && self.global.json
            && let Some(at) = compare.topologies.iter().position(|name| name.contains(['.', '/', '\\']))
        {
            compare.document = Some(compare.topologies.remove(at).into());
            self.global.json = false;
        }
        self
    }
}
