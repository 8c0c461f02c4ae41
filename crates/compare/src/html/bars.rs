//! Bytes and processor time: bars for what stays, every run for what varies.

use super::{
    figures::{Figure, figure, strip},
    marks::{Scale, escaped, percent},
};
use crate::{Cell, MetricSummary, Question, Summary, catalogue::Unit};

/// What a topology costs apart from time.
pub(super) fn costs(summary: &Summary) -> Vec<Figure> {
    summary
        .metrics
        .iter()
        .filter(|metric| metric.question == Some(Question::Cost) && metric.is_measured())
        .filter(|metric| matches!(metric.unit, Unit::Bytes | Unit::CpuSeconds))
        .map(|metric| {
            let varies =
                metric.metric.starts_with("cost.") && metric.topologies.iter().any(|cell| cell.range.is_some());
            figure(metric, if varies { strip } else { bar })
        })
        .collect()
}

fn bar(metric: &MetricSummary, cell: &Cell, index: usize, scale: Scale) -> String {
    let median = cell.spread.map_or(0.0, |spread| spread.median);
    let value = cell.spread.map(|spread| format!(" data-stat=\"median\" data-value=\"{}\"", spread.median));
    format!(
        "<svg class=\"bar\" role=\"img\" width=\"100%\" height=\"20\" data-metric=\"{}\" data-topology=\"{}\"><title>{}</title><desc>{}</desc><line class=\"axis\" x1=\"{start}\" x2=\"{start}\" y1=\"0\" y2=\"20\"/><rect x=\"{start}\" y=\"3\" width=\"{}\" height=\"14\" fill=\"url(#q{index})\"{}/></svg>",
        escaped(&metric.metric),
        escaped(cell.topology.as_str()),
        escaped(&format!("{}, {}", metric.title, cell.topology)),
        escaped(&cell.shown),
        percent(scale.length(median)),
        value.unwrap_or_default(),
        start = percent(scale.at(0.0)),
    )
}
