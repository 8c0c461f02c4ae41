//! A summary as rows of cells, for terminals.

use crate::{Cell, Comparison, PairSummary, Summary};

/// A table without any form: the caller lines it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<String>,
    /// The rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

/// Every metric: each topology's median with its range, then each other topology's ratio and verdict.
#[must_use]
pub fn metrics(summary: &Summary) -> Table {
    let mut header = vec!["METRIC".to_owned()];
    header.extend(summary.topologies().map(|name| name.as_str().to_uppercase()));
    let many = summary.others.len() > 1;
    for other in &summary.others {
        let of = if many { format!("{}/{}", other, summary.reference).to_uppercase() } else { "RATIO".to_owned() };
        header.extend([of, "VERDICT".to_owned()]);
    }
    let rows = summary.metrics.iter().map(|metric| {
        let mut row = vec![metric.title.clone()];
        row.extend(metric.topologies.iter().map(cell));
        row.extend(metric.pairs.iter().flat_map(pair));
        row
    });
    Table { header, rows: rows.collect() }
}

fn cell(cell: &Cell) -> String {
    let mut text = match (&cell.spread, &cell.range) {
        (None, _) => return if cell.dots.is_empty() && cell.failed > 0 { "failed".to_owned() } else { "-".to_owned() },
        (Some(_), None) => cell.shown.clone(),
        (Some(_), Some(range)) => format!("{} ({range})", cell.shown),
    };
    let without = cell.failed + cell.missing;
    if without > 0 {
        text.push_str(&format!(" {} of {} runs", cell.dots.len(), cell.dots.len() + without));
    }
    text
}

fn pair(pair: &PairSummary) -> [String; 2] {
    let mark = if pair.ratio.is_some() && !pair.unfair.is_empty() { " (unfair)" } else { "" };
    let ratio = if pair.ratio.is_some() { format!("{}{mark}", pair.shown_ratio) } else { "-".to_owned() };
    [ratio, pair.shown_verdict.clone()]
}

/// What differs between the topologies: fact, role, and each topology's value with its place.
#[must_use]
pub fn differences(comparison: &Comparison) -> Table {
    let mut header = vec!["FACT".to_owned(), "ROLE".to_owned()];
    header.extend(comparison.topologies.iter().map(|topology| topology.name.as_str().to_uppercase()));
    header.push("RATIOS".to_owned());
    let rows = comparison.fairness.iter().map(|difference| {
        let mut row = vec![difference.fact.clone(), difference.role.clone().unwrap_or_else(|| "-".to_owned())];
        row.extend(difference.stated.iter().map(|stated| match &stated.fact {
            Some(fact) => match &fact.origin {
                Some(origin) => format!("{} ({origin})", fact.value),
                None => fact.value.clone(),
            },
            None => "-".to_owned(),
        }));
        row.push(format!("{} refused", difference.affects.len()));
        row
    });
    Table { header, rows: rows.collect() }
}

/// The runs that failed.
#[must_use]
pub fn failures(summary: &Summary) -> Table {
    let rows = summary.failures.iter().map(|failure| {
        vec![
            failure.scenario.to_string(),
            failure.topology.to_string(),
            failure.number.to_string(),
            failure.why.clone(),
        ]
    });
    Table { header: ["SCENARIO", "TOPOLOGY", "RUN", "WHY"].map(str::to_owned).to_vec(), rows: rows.collect() }
}

/// What could not be measured in runs that went through.
#[must_use]
pub fn gaps(summary: &Summary) -> Table {
    let rows = summary.gaps.iter().map(|gap| {
        let runs: Vec<String> = gap.runs.iter().map(u32::to_string).collect();
        vec![gap.metric.clone(), gap.topology.to_string(), runs.join(", "), gap.why.clone()]
    });
    Table { header: ["METRIC", "TOPOLOGY", "RUNS", "WHY"].map(str::to_owned).to_vec(), rows: rows.collect() }
}
