//! The way to ready in its parts, as one bar for each topology.

use super::marks::{Scale, add, escaped, percent};
use crate::{
    Cell, Summary,
    catalogue::{PHASES, Unit},
};
use serde::Serialize;

/// The drawing and its numbers.
#[derive(Debug, Serialize)]
pub(super) struct Phases {
    bars: Vec<Bar>,
    parts: Vec<Part>,
    end: String,
}

#[derive(Debug, Serialize)]
struct Bar {
    index: usize,
    topology: String,
    svg: String,
    shown: String,
}

/// A part with its value on each topology.
#[derive(Debug, Serialize)]
struct Part {
    metric: &'static str,
    title: String,
    /// Which pattern it is drawn with.
    pattern: usize,
    cells: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Value {
    topology: String,
    shown: String,
    value: Option<String>,
}

/// The parts of `up`; nothing when no run measured any.
pub(super) fn phases(summary: &Summary) -> Option<Phases> {
    let parts: Vec<_> = PHASES
        .into_iter()
        .enumerate()
        .filter_map(|(pattern, id)| Some((pattern, id, summary.metric(id)?)))
        .filter(|(_, _, metric)| metric.is_measured())
        .collect();
    if parts.is_empty() {
        return None;
    }
    let ready = summary.metric("up.ready");
    let median = |cell: &Cell| cell.spread.map_or(0.0, |spread| spread.median);
    let names: Vec<_> = summary.topologies().collect();
    // Parts of one topology, in their order.
    let of = |index: usize| {
        parts
            .iter()
            .filter_map(move |(pattern, id, metric)| Some((*pattern, *id, *metric, metric.topologies.get(index)?)))
    };
    let total = |index: usize| of(index).map(|(_, _, _, cell)| median(cell)).sum::<f64>();
    let ready_cell = |index: usize| ready.and_then(|metric| metric.topologies.get(index));
    let longest =
        (0..names.len()).map(|index| total(index).max(ready_cell(index).map_or(0.0, median))).fold(0.0, f64::max);
    let scale = Scale::to(longest);
    let bars = names.iter().enumerate().map(|(index, name)| {
        let words: Vec<String> = of(index)
            .filter(|(_, _, _, cell)| cell.spread.is_some())
            .map(|(_, _, metric, cell)| format!("{} {}", word(&metric.title), cell.shown))
            .collect();
        let mut svg = format!(
            "<svg class=\"phases\" role=\"img\" width=\"100%\" height=\"34\" data-topology=\"{}\"><title>{}</title><desc>{}</desc>",
            escaped(name.as_str()),
            escaped(&format!("The way to ready of {name}")),
            escaped(&words.join(", ")),
        );
        let mut x = scale.at(0.0);
        for (pattern, id, metric, cell) in of(index) {
            let Some(spread) = cell.spread else { continue };
            let width = scale.length(spread.median);
            add(
                &mut svg,
                format_args!(
                    "<rect x=\"{}\" y=\"4\" width=\"{}\" height=\"26\" fill=\"url(#p{pattern})\" data-metric=\"{id}\" data-stat=\"median\" data-value=\"{}\"><title>{}</title></rect>",
                    percent(x),
                    percent(width),
                    spread.median,
                    escaped(&format!("{}: {}", word(&metric.title), cell.shown)),
                ),
            );
            x += width;
        }
        if let Some(spread) = ready_cell(index).and_then(|cell| cell.spread) {
            let at = percent(scale.at(spread.median));
            add(
                &mut svg,
                format_args!(
                    "<line class=\"ready\" x1=\"{at}\" x2=\"{at}\" y1=\"0\" y2=\"34\" data-metric=\"up.ready\" data-stat=\"median\" data-value=\"{}\"><title>ready</title></line>",
                    spread.median
                ),
            );
        }
        svg.push_str("</svg>");
        Bar {
            index,
            topology: name.to_string(),
            svg,
            shown: ready_cell(index).map_or_else(String::new, |cell| cell.shown.clone()),
        }
    });
    Some(Phases {
        bars: bars.collect(),
        parts: parts
            .iter()
            .map(|(pattern, id, metric)| Part {
                metric: id,
                title: word(&metric.title).to_owned(),
                pattern: *pattern,
                cells: metric
                    .topologies
                    .iter()
                    .map(|cell| Value {
                        topology: cell.topology.to_string(),
                        shown: cell.shown.clone(),
                        value: cell.spread.map(|spread| spread.median.to_string()),
                    })
                    .collect(),
            })
            .collect(),
        end: scale.label(Unit::Seconds),
    })
}

/// The part's own word: in the table it stands below the whole.
fn word(title: &str) -> &str {
    title.strip_prefix("of it: ").unwrap_or(title)
}
