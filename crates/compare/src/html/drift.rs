//! What changed, as a tree: topology, class, folder, path.

use super::marks::{Scale, escaped, percent, shortened};
use crate::{Cell, Detail, Summary, catalogue::DRIFT_CLASSES};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many folders of a class are shown.
const FOLDERS: usize = 10;

/// How many paths of a folder are shown.
const PATHS: usize = 6;

/// The longest path that is shown whole, in characters.
const LONGEST: usize = 120;

/// The changes of a topology.
#[derive(Debug, Serialize)]
pub(super) struct Tree {
    index: usize,
    topology: String,
    shown: String,
    value: Option<String>,
    classes: Vec<Class>,
}

#[derive(Debug, Serialize)]
struct Class {
    name: &'static str,
    metric: &'static str,
    shown: String,
    value: Option<String>,
    svg: String,
    folders: Vec<Folder>,
    /// How many folders are not shown.
    more: usize,
}

#[derive(Debug, Serialize)]
struct Folder {
    name: String,
    count: usize,
    paths: Vec<String>,
    /// How many paths are not shown.
    more: usize,
}

/// A tree for each topology; nothing when drift was not measured.
pub(super) fn trees(summary: &Summary) -> Vec<Tree> {
    let Some(all) = summary.metric("drift.paths").filter(|metric| metric.is_measured()) else {
        return Vec::new();
    };
    let class_cell = |index: usize, id: &str| summary.metric(id).and_then(|metric| metric.topologies.get(index));
    let medians = summary.metrics.iter().filter(|metric| DRIFT_CLASSES.iter().any(|(_, id)| *id == metric.metric));
    let largest = medians.flat_map(|metric| &metric.topologies).filter_map(|cell| cell.spread).map(|s| s.median);
    let scale = Scale::to(largest.fold(0.0, f64::max));
    let tree = |(index, cell): (usize, &Cell)| Tree {
        index,
        topology: cell.topology.to_string(),
        shown: cell.shown.clone(),
        value: cell.spread.map(|spread| spread.median.to_string()),
        classes: DRIFT_CLASSES
            .into_iter()
            .filter_map(|(name, metric)| Some((name, metric, class_cell(index, metric)?)))
            .map(|(name, metric, own)| {
                let listed = cell.details.iter().filter(|detail| detail.class.as_deref() == Some(name));
                let paths = if own.details.is_empty() { listed.collect() } else { own.details.iter().collect() };
                class(name, metric, own, index, scale, paths)
            })
            .collect(),
    };
    all.topologies.iter().enumerate().map(tree).collect()
}

fn class(
    name: &'static str,
    metric: &'static str,
    cell: &Cell,
    index: usize,
    scale: Scale,
    paths: Vec<&Detail>,
) -> Class {
    let mut folders: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for path in paths {
        folders.entry(folder(&path.text)).or_default().push(&path.text);
    }
    let mut folders: Vec<Folder> = folders
        .into_iter()
        .map(|(name, mut paths)| {
            paths.sort_unstable();
            Folder {
                name,
                count: paths.len(),
                more: paths.len().saturating_sub(PATHS),
                paths: paths.into_iter().take(PATHS).map(|path| shortened(path, LONGEST)).collect(),
            }
        })
        .collect();
    folders.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.name.cmp(&other.name)));
    let more = folders.len().saturating_sub(FOLDERS);
    folders.truncate(FOLDERS);
    let median = cell.spread.map_or(0.0, |spread| spread.median);
    let svg = format!(
        "<svg class=\"bar\" aria-hidden=\"true\" width=\"100%\" height=\"12\"><rect x=\"0\" y=\"1\" width=\"{}\" height=\"10\" fill=\"url(#q{index})\"/></svg>",
        escaped(&percent(scale.length(median))),
    );
    Class {
        name,
        metric,
        shown: cell.shown.clone(),
        value: cell.spread.map(|spread| spread.median.to_string()),
        svg,
        folders,
        more,
    }
}

/// The first two folders of a path.
fn folder(path: &str) -> String {
    let mut ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    let end = match (ends.next(), ends.next()) {
        (_, Some(second)) => second,
        (Some(first), None) => first,
        (None, None) => return shortened(path, LONGEST),
    };
    shortened(path.get(..end).unwrap_or(path), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_gathered_by_their_first_two_folders() {
        assert_eq!(folder("/opt/spark/work/app-1/stdout"), "/opt/spark");
        assert_eq!(folder("/etc/hosts"), "/etc");
        assert_eq!(folder("/vmlinuz"), "/vmlinuz");
        assert_eq!(folder(""), "");
    }
}
