//! Metrics on topologies: what their runs measured, and what they did not.

use super::{Cell, Dot, Gap, MetricSummary, pair};
use crate::{
    Comparison, Reading, Scenario,
    catalogue::{self, Better, Unit},
    results::Measured,
    show,
    statistics::Sample,
};
use rig_model::Name;
use std::collections::BTreeMap;

/// A metric that runs speak of, known to the catalogue or not.
struct Subject<'a> {
    id: &'a str,
    unit: Unit,
    known: Option<&'static catalogue::Metric>,
    scenario: Scenario,
}

/// All metrics that any run speaks of: those of the catalogue in its order, then the others.
pub(super) fn all(comparison: &Comparison, unfair: bool) -> (Vec<MetricSummary>, Vec<Gap>) {
    let mut spoken: BTreeMap<&str, (&Measured, Scenario)> = BTreeMap::new();
    for run in &comparison.runs {
        for value in run.values() {
            spoken.entry(&value.metric).or_insert((value, run.scenario));
        }
    }
    let mut subjects: Vec<Subject<'_>> = catalogue::ALL
        .iter()
        .filter(|metric| spoken.contains_key(metric.id))
        .map(|metric| Subject { id: metric.id, unit: metric.unit, known: Some(metric), scenario: metric.scenario })
        .collect();
    subjects.extend(
        spoken.iter().filter(|(id, _)| catalogue::find(id).is_none()).map(|(id, (value, scenario))| Subject {
            id,
            unit: value.unit,
            known: None,
            scenario: *scenario,
        }),
    );
    let mut gaps = Vec::new();
    let metrics = subjects.iter().map(|subject| metric(comparison, subject, unfair, &mut gaps)).collect();
    (metrics, gaps)
}

fn metric(comparison: &Comparison, subject: &Subject<'_>, unfair: bool, gaps: &mut Vec<Gap>) -> MetricSummary {
    let cells: Vec<(Cell, Sample)> =
        comparison.topologies.iter().map(|topology| cell(comparison, &topology.name, subject, gaps)).collect();
    let better = subject.known.map_or(Better::Neither, |metric| metric.better);
    let pairs = match cells.split_first() {
        Some((first, others)) => others
            .iter()
            .map(|other| pair::pair(comparison, subject.id, subject.unit, better, first, other, unfair))
            .collect(),
        None => Vec::new(),
    };
    MetricSummary {
        metric: subject.id.to_owned(),
        title: subject.known.map_or(subject.id, |metric| metric.title).to_owned(),
        unit: subject.unit,
        better,
        question: subject.known.map(|metric| metric.question),
        topologies: cells.into_iter().map(|(cell, _)| cell).collect(),
        pairs,
    }
}

fn cell(comparison: &Comparison, topology: &Name, subject: &Subject<'_>, gaps: &mut Vec<Gap>) -> (Cell, Sample) {
    let mut dots = Vec::new();
    let mut details = Vec::new();
    let mut failed = 0;
    let mut missing: Vec<Gap> = Vec::new();
    let mut runs = 0;
    for run in comparison.runs_of(topology, subject.scenario) {
        runs += 1;
        if run.failure().is_some() {
            failed += 1;
            continue;
        }
        let measured = run.values().iter().find(|value| value.metric == subject.id);
        let why = match measured.map(|value| &value.reading) {
            Some(Reading::Value(value)) => {
                dots.push(Dot { run: run.number, value: *value });
                details = measured.map(|value| value.details.clone()).unwrap_or_default();
                continue;
            }
            Some(Reading::Missing(why)) => why.as_str(),
            None => "the run says nothing of it",
        };
        match missing.iter_mut().find(|gap| gap.why == why) {
            Some(gap) => gap.runs.push(run.number),
            None => missing.push(Gap {
                topology: topology.clone(),
                metric: subject.id.to_owned(),
                runs: vec![run.number],
                why: why.to_owned(),
            }),
        }
    }
    dots.sort_by_key(|dot| dot.run);
    let sample = Sample::new(dots.iter().map(|dot| dot.value));
    let spread = sample.spread();
    let shown = match spread {
        Some(spread) => show::shown(subject.unit, spread.median),
        None if runs == 0 => "no run yet".to_owned(),
        None if failed == runs => "every run failed".to_owned(),
        None => {
            format!("not measured: {}", missing.first().map_or("the other runs failed", |gap| gap.why.as_str()))
        }
    };
    let range = spread.filter(|spread| spread.min < spread.max).map(|spread| {
        // What the seconds are of stands beside the median.
        let unit = if subject.unit == Unit::CpuSeconds { Unit::Seconds } else { subject.unit };
        format!("{} to {}", show::shown(unit, spread.min), show::shown(unit, spread.max))
    });
    let without = missing.iter().map(|gap| gap.runs.len()).sum();
    gaps.append(&mut missing);
    (
        Cell {
            topology: topology.clone(),
            spread,
            shown,
            range,
            dots,
            planned: comparison.runs_planned(subject.scenario),
            failed,
            missing: without,
            details,
        },
        sample,
    )
}
