//! What the page's template is given.

use super::{
    bars, drift,
    figures::{self, Figure, note},
    marks::{COLOURS, SHAPES},
    phases::{self, Phases},
    surface,
};
use crate::{Comparison, MetricSummary, PairSummary, SCHEMA, Summary, show, summary::Answer};
use serde::Serialize;

/// Everything that the page shows. Texts in `svg` are markup, all others are escaped by the template.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    css: &'static str,
    title: String,
    workspace: &'a str,
    topologies: Vec<Topology>,
    reference: &'a str,
    patterns: usize,
    planned_runs: u32,
    caches: String,
    day: String,
    left: usize,
    unfair: bool,
    answers: Vec<AnswerView>,
    phases: Option<Phases>,
    distributions: Vec<Figure>,
    trees: Vec<drift::Tree>,
    surface: Vec<surface::Row>,
    costs: Vec<Figure>,
    groups: Vec<Group>,
    failures: &'a [crate::Failure],
    gaps: Vec<GapRow>,
    differences: Vec<DifferenceRow>,
    machine: Vec<(&'static str, String)>,
    method: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct Topology {
    name: String,
    idiom: String,
    index: usize,
    shape: usize,
    colour: usize,
}

/// A question with its answer.
#[derive(Debug, Serialize)]
struct AnswerView {
    asked: &'static str,
    sentences: Vec<String>,
}

/// The metrics of a question.
#[derive(Debug, Serialize)]
struct Group {
    asked: &'static str,
    rows: Vec<MetricRow>,
}

#[derive(Debug, Serialize)]
struct MetricRow {
    metric: String,
    title: String,
    cells: Vec<MetricCell>,
    pairs: Vec<PairCell>,
}

#[derive(Debug, Serialize)]
struct MetricCell {
    topology: String,
    shown: String,
    value: Option<String>,
    note: String,
}

#[derive(Debug, Serialize)]
struct PairCell {
    topology: String,
    shown: String,
    value: Option<String>,
    low: String,
    high: String,
    verdict: String,
    /// Why it is not fair.
    why: String,
}

#[derive(Debug, Serialize)]
struct GapRow {
    title: String,
    topology: String,
    runs: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct DifferenceRow {
    subject: String,
    values: Vec<String>,
    affects: String,
}

impl<'a> View<'a> {
    pub(super) fn new(comparison: &'a Comparison, summary: &'a Summary) -> Self {
        let names: Vec<String> = comparison.topologies.iter().map(|topology| topology.name.to_string()).collect();
        let topologies = comparison.topologies.iter().enumerate().map(|(index, topology)| Topology {
            name: topology.name.to_string(),
            idiom: topology.idiom.to_string(),
            index,
            shape: index % SHAPES,
            colour: index % COLOURS,
        });
        Self {
            css: include_str!("page.css"),
            title: format!("{} compared", show::listed(&names)),
            workspace: comparison.workspace.as_str(),
            topologies: topologies.collect(),
            reference: summary.reference.as_str(),
            patterns: crate::catalogue::PHASES.len(),
            planned_runs: comparison.planned_runs,
            caches: comparison.caches.to_string(),
            day: comparison.started.strftime("%-d %B %Y").to_string(),
            left: summary.planned.saturating_sub(summary.made),
            unfair: summary.unfair,
            answers: summary.answers.iter().map(answer).collect(),
            phases: phases::phases(summary),
            distributions: figures::distributions(summary),
            trees: drift::trees(summary),
            surface: surface::profile(summary),
            costs: bars::costs(summary),
            groups: groups(summary),
            failures: &summary.failures,
            gaps: summary.gaps.iter().map(|gap| gap_row(summary, gap)).collect(),
            differences: comparison.fairness.iter().map(difference_row).collect(),
            machine: machine(comparison),
            method: method(comparison, summary),
        }
    }
}

/// An answer whose numbers keep their units on their line.
fn answer(answer: &Answer) -> AnswerView {
    AnswerView { asked: answer.asked, sentences: answer.sentences.iter().map(|text| glued(text)).collect() }
}

/// The same text with a space that does not break between a number and what follows it.
fn glued(text: &str) -> String {
    let mut glued = String::with_capacity(text.len());
    let mut is_digit = false;
    for character in text.chars() {
        glued.push(if character == ' ' && is_digit { '\u{a0}' } else { character });
        is_digit = character.is_ascii_digit();
    }
    glued
}

/// All metrics by question, those that no question is known of last.
fn groups(summary: &Summary) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let questions = crate::Question::ALL.into_iter().map(Some).chain([None]);
    for question in questions {
        let rows: Vec<MetricRow> =
            summary.metrics.iter().filter(|metric| metric.question == question).map(metric_row).collect();
        if !rows.is_empty() {
            groups.push(Group { asked: question.map_or("Other metrics", crate::Question::asked), rows });
        }
    }
    groups
}

fn metric_row(metric: &MetricSummary) -> MetricRow {
    let cells = metric.topologies.iter().map(|cell| MetricCell {
        topology: cell.topology.to_string(),
        shown: cell.shown.clone(),
        value: cell.spread.map(|spread| spread.median.to_string()),
        note: note(cell),
    });
    MetricRow {
        metric: metric.metric.clone(),
        title: metric.title.clone(),
        cells: cells.collect(),
        pairs: metric.pairs.iter().map(pair_cell).collect(),
    }
}

fn pair_cell(pair: &PairSummary) -> PairCell {
    let number = |of: fn(&crate::statistics::Ratio) -> f64| pair.ratio.as_ref().map(|ratio| of(ratio).to_string());
    PairCell {
        topology: pair.topology.to_string(),
        shown: if pair.ratio.is_some() { pair.shown_ratio.clone() } else { "–".to_owned() },
        value: number(|ratio| ratio.value),
        low: number(|ratio| ratio.low).unwrap_or_default(),
        high: number(|ratio| ratio.high).unwrap_or_default(),
        verdict: pair.shown_verdict.clone(),
        why: figures::unfair(pair),
    }
}

fn gap_row(summary: &Summary, gap: &crate::Gap) -> GapRow {
    let runs: Vec<String> = gap.runs.iter().map(u32::to_string).collect();
    GapRow {
        title: summary.metric(&gap.metric).map_or_else(|| gap.metric.clone(), |metric| metric.title.clone()),
        topology: gap.topology.to_string(),
        runs: runs.join(", "),
        why: gap.why.clone(),
    }
}

fn difference_row(difference: &crate::fairness::Difference) -> DifferenceRow {
    let values = difference.stated.iter().map(|stated| match &stated.fact {
        Some(fact) => match &fact.origin {
            Some(origin) => format!("{} ({origin})", fact.value),
            None => fact.value.clone(),
        },
        None => "not set".to_owned(),
    });
    DifferenceRow {
        subject: difference.subject(),
        values: values.collect(),
        affects: match difference.affects.as_slice() {
            [] => "nothing".to_owned(),
            all if all.len() == crate::catalogue::ALL.len() => "every metric".to_owned(),
            some => some.join(", "),
        },
    }
}

fn machine(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let host = &comparison.host;
    vec![
        ("Engine", host.engine.clone()),
        ("Storage driver", host.storage_driver.clone()),
        ("Processors", host.cpus.to_string()),
        ("Memory", host.memory.to_string()),
        ("Operating system", host.os.clone()),
        ("rig", host.rig.clone()),
        ("First run", comparison.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        ("Last run", comparison.updated.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
    ]
}

fn method(comparison: &Comparison, summary: &Summary) -> Vec<(&'static str, String)> {
    let scenarios: Vec<String> = comparison.scenarios.iter().map(ToString::to_string).collect();
    vec![
        ("Scenarios", scenarios.join(", ")),
        ("Runs", format!("{} made of {} planned", summary.made, summary.planned)),
        ("Caches", comparison.caches.to_string()),
        ("Seed of the order", comparison.seed.to_string()),
        ("Document", SCHEMA.to_owned()),
    ]
}
