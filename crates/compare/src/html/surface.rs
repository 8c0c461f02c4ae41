//! What is exposed, side by side, with names behind the numbers.

use super::{figures::verdicts, marks::shortened};
use crate::{Question, Scenario, Summary, catalogue};
use serde::Serialize;

/// How many names are shown of one number.
const NAMES: usize = 40;

/// The longest name that is shown whole, in characters.
const LONGEST: usize = 100;

/// A metric with a cell for each topology.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    metric: String,
    title: String,
    cells: Vec<Cell>,
    verdicts: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Cell {
    index: usize,
    topology: String,
    shown: String,
    value: Option<String>,
    names: Vec<String>,
    /// How many names are not shown.
    more: usize,
}

/// The rows of the profile.
pub(super) fn profile(summary: &Summary) -> Vec<Row> {
    summary
        .metrics
        .iter()
        .filter(|metric| metric.question == Some(Question::Exposed))
        .filter(|metric| catalogue::find(&metric.metric).is_some_and(|known| known.scenario == Scenario::Surface))
        .map(|metric| Row {
            metric: metric.metric.clone(),
            title: metric.title.clone(),
            cells: metric
                .topologies
                .iter()
                .enumerate()
                .map(|(index, cell)| Cell {
                    index,
                    topology: cell.topology.to_string(),
                    shown: cell.shown.clone(),
                    value: cell.spread.map(|spread| spread.median.to_string()),
                    names: cell.details.iter().take(NAMES).map(name).collect(),
                    more: cell.details.len().saturating_sub(NAMES),
                })
                .collect(),
            verdicts: verdicts(metric),
        })
        .collect()
}

fn name(detail: &crate::Detail) -> String {
    let text = shortened(&detail.text, LONGEST);
    match &detail.class {
        Some(class) => format!("{text} ({class})"),
        None => text,
    }
}
