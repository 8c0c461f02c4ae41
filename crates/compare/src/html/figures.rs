//! Distributions: every run is a mark on a scale that begins at zero.

use super::marks::{COLOURS, SHAPES, Scale, add, escaped, percent};
use crate::{
    Cell, MetricSummary, PairSummary, Summary,
    catalogue::{PHASES, Unit},
    show,
};
use serde::Serialize;

/// With more runs than this, marks have no text of their own: the page would be too large.
const MOST_NAMED: usize = 12;

/// Marks that are nearer to each other than this, in percent of the width, are set side by side.
const CLOSE: f64 = 1.6;

/// The lanes that marks are set in, in pixels from the middle.
const LANES: [f64; 5] = [0.0, -9.0, 9.0, -16.0, 16.0];

/// The middle of a strip, in pixels.
const MIDDLE: f64 = 22.0;

/// A metric with a row for each topology.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    metric: String,
    title: String,
    /// The end of the scale.
    end: String,
    rows: Vec<Row>,
    /// What the comparison says, one line for each topology but the first.
    verdicts: Vec<String>,
}

/// A topology in a figure.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) index: usize,
    pub(super) topology: String,
    pub(super) svg: String,
    /// The median, or why there is none.
    pub(super) shown: String,
    pub(super) value: Option<String>,
    pub(super) note: String,
}

/// All times. Parts of a time have a drawing of their own, and so has what is no time.
pub(super) fn distributions(summary: &Summary) -> Vec<Figure> {
    summary
        .metrics
        .iter()
        .filter(|metric| metric.unit == Unit::Seconds && !PHASES.contains(&metric.metric.as_str()))
        .filter(|metric| metric.is_measured())
        .map(|metric| figure(metric, strip))
        .collect()
}

/// A figure of a metric, each topology drawn by `draw`.
pub(super) fn figure(metric: &MetricSummary, draw: fn(&MetricSummary, &Cell, usize, Scale) -> String) -> Figure {
    let largest = metric.topologies.iter().filter_map(|cell| cell.spread).map(|spread| spread.max);
    let scale = Scale::to(largest.fold(0.0, f64::max));
    let rows = metric.topologies.iter().enumerate().map(|(index, cell)| Row {
        index,
        topology: cell.topology.to_string(),
        svg: draw(metric, cell, index, scale),
        shown: cell.shown.clone(),
        value: cell.spread.map(|spread| spread.median.to_string()),
        note: note(cell),
    });
    Figure {
        metric: metric.metric.clone(),
        title: metric.title.clone(),
        end: scale.label(metric.unit),
        rows: rows.collect(),
        verdicts: verdicts(metric),
    }
}

/// The range, and the number of runs where it is not the planned one.
pub(super) fn note(cell: &Cell) -> String {
    let mut parts: Vec<String> = cell.range.iter().cloned().collect();
    if cell.spread.is_some() && cell.dots.len() != cell.planned as usize {
        let runs = if cell.dots.len() == 1 { "run" } else { "runs" };
        parts.push(format!("{} {runs}", cell.dots.len()));
    }
    if cell.failed > 0 {
        parts.push(format!("{} failed", cell.failed));
    }
    if cell.missing > 0 {
        parts.push(format!("{} not measured", cell.missing));
    }
    parts.join(", ")
}

/// The comparison in a line for each pair.
pub(super) fn verdicts(metric: &MetricSummary) -> Vec<String> {
    let alone = metric.pairs.len() == 1;
    let lines = metric.pairs.iter().map(|pair| {
        let who = if alone { String::new() } else { format!("{}: ", pair.topology) };
        let ratio = match pair.ratio {
            Some(_) => format!("ratio {}, ", pair.shown_ratio),
            None => String::new(),
        };
        let unfair = unfair(pair);
        let joint = match (unfair.is_empty(), pair.verdict) {
            (true, _) => "",
            (false, None) => ": ",
            (false, Some(_)) => "; ",
        };
        format!("{who}{ratio}{}{joint}{unfair}", pair.shown_verdict)
    });
    lines.collect()
}

/// Why a ratio is not fair, in short: values and places stand in the section on fairness. Where it was refused, the verdict
/// says already that it is not fair.
pub(super) fn unfair(pair: &PairSummary) -> String {
    let facts: Vec<String> = pair
        .unfair
        .iter()
        .map(|objection| match &objection.role {
            Some(role) => format!("{} of role {role}", objection.fact),
            None => objection.fact.clone(),
        })
        .collect();
    let judged = if pair.verdict.is_some() { "not fair: " } else { "" };
    match facts.as_slice() {
        [] => String::new(),
        [one] => format!("{judged}{one} differs"),
        several => format!("{judged}{} differ", show::listed(several)),
    }
}

/// One topology: a line, the median as a bar across it, a mark for each run.
pub(super) fn strip(metric: &MetricSummary, cell: &Cell, index: usize, scale: Scale) -> String {
    let (id, name) = (escaped(&metric.metric), escaped(cell.topology.as_str()));
    let says = if cell.spread.is_some() { note(cell) } else { cell.shown.clone() };
    let colour = index % COLOURS;
    let mut svg = format!(
        "<svg class=\"strip\" role=\"img\" width=\"100%\" height=\"44\" data-metric=\"{id}\" data-topology=\"{name}\"><title>{}</title><desc>{}</desc><line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{MIDDLE}\" y2=\"{MIDDLE}\"/>",
        escaped(&format!("{}, {}", metric.title, cell.topology)),
        escaped(&format!("{}; {says}", cell.shown)),
        percent(scale.at(0.0)),
        percent(scale.at(scale.end)),
    );
    if let Some(spread) = cell.spread {
        let x = percent(scale.at(spread.median));
        add(
            &mut svg,
            format_args!(
                "<line class=\"median t{colour}\" x1=\"{x}\" x2=\"{x}\" y1=\"1\" y2=\"43\" data-stat=\"median\" data-value=\"{}\"/>",
                spread.median
            ),
        );
    }
    let mut last = [f64::NEG_INFINITY; LANES.len()];
    let mut dots: Vec<_> = cell.dots.iter().collect();
    dots.sort_by(|one, other| one.value.total_cmp(&other.value));
    for dot in dots {
        let x = scale.at(dot.value);
        let free = last.iter().position(|before| x - before >= CLOSE).unwrap_or_default();
        if let Some(lane) = last.get_mut(free) {
            *lane = x;
        }
        let y = MIDDLE + LANES.get(free).copied().unwrap_or_default();
        let shape = index % SHAPES;
        add(
            &mut svg,
            format_args!(
                "<use href=\"#m{shape}\" class=\"t{colour}\" x=\"{}\" y=\"{y}\" data-run=\"{}\" data-value=\"{}\"",
                percent(x),
                dot.run,
                dot.value
            ),
        );
        if cell.dots.len() <= MOST_NAMED {
            let title = format!("run {}: {}", dot.run, show::shown(metric.unit, dot.value));
            add(&mut svg, format_args!("><title>{}</title></use>", escaped(&title)));
        } else {
            svg.push_str("/>");
        }
    }
    svg.push_str("</svg>");
    svg
}
