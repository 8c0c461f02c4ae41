//! The answers in sentences, composed from the same numbers that the tables show.

use super::{Answer, Cell, MetricSummary, PairSummary};
use crate::{
    Comparison, Life, Question,
    catalogue::{self, Better, Spoken, Unit},
    show,
    statistics::Verdict,
};
use rig_model::Name;

/// How sentences begin that say a part of the one before.
const PART: &str = "Among them";

/// The questions that the comparison's scenarios answer, each with at least one sentence.
pub(super) fn answers(comparison: &Comparison, metrics: &[MetricSummary]) -> Vec<Answer> {
    Question::ALL
        .into_iter()
        .filter_map(|question| {
            let mut sentences: Vec<String> = metrics
                .iter()
                .filter(|metric| metric.question == Some(question))
                .filter_map(|metric| {
                    let spoken = catalogue::find(&metric.metric)?.spoken.as_ref()?;
                    (spoken.lead != PART || any_above_zero(metric)).then(|| sentence(metric, spoken))
                })
                .collect();
            sentences.extend(failures(comparison, question));
            (!sentences.is_empty()).then(|| Answer { question, asked: question.asked(), sentences })
        })
        .collect()
}

fn any_above_zero(metric: &MetricSummary) -> bool {
    metric.topologies.iter().filter_map(|cell| cell.spread).any(|spread| spread.max > 0.0)
}

/// One metric in one sentence: what each topology has, and what follows from it.
fn sentence(metric: &MetricSummary, spoken: &Spoken) -> String {
    let (with, without): (Vec<&Cell>, Vec<&Cell>) = metric.topologies.iter().partition(|cell| cell.spread.is_some());
    let gaps: Vec<String> = without.iter().map(|cell| format!("{} ({})", cell.topology, cell.shown)).collect();
    if with.is_empty() {
        return format!("{}: no figures for {}.", metric.title, show::listed(&gaps));
    }
    let figures: Vec<String> =
        with.iter().enumerate().map(|(position, cell)| figure(metric.unit, spoken, position == 0, cell)).collect();
    let mut text = format!("{}, {}", spoken.lead, show::listed(&figures));
    if !gaps.is_empty() {
        text.push_str(&format!("; no figures for {}", show::listed(&gaps)));
    }
    let conclusions = conclusions(metric, spoken);
    if !conclusions.is_empty() {
        text.push_str(": ");
        text.push_str(&conclusions.join("; "));
    }
    text.push('.');
    let partial: Vec<String> = with
        .iter()
        .filter(|cell| cell.missing > 0)
        .map(|cell| format!("{} of {} runs of {}", cell.missing, cell.missing + cell.dots.len(), cell.topology))
        .collect();
    if !partial.is_empty() {
        text.push_str(&format!(" It could not be measured in {}.", show::listed(&partial)));
    }
    text
}

/// `naughty had 12 changed paths`, behind the first one only `immutable 3`.
fn figure(unit: Unit, spoken: &Spoken, first: bool, cell: &Cell) -> String {
    let median = cell.spread.map(|spread| spread.median);
    let [one, many] = spoken.noun;
    let noun = if median == Some(1.0) { one } else { many };
    // A median of 0 with a run above it is a number, not nothing.
    let nothing = cell.spread.is_some_and(|spread| spread.max == 0.0);
    let value = match (unit, nothing, first) {
        (Unit::Count, true, true) => "no",
        (Unit::Count, true, false) => "none",
        (Unit::Bytes, true, _) => "nothing",
        _ => &cell.shown,
    };
    if !first {
        return format!("{} {value}", cell.topology);
    }
    let space = if noun.is_empty() { "" } else { " " };
    format!("{} {} {value}{space}{noun}", cell.topology, spoken.verb)
}

/// What the pairs say: differences one by one, what is no difference together. Nothing where a side has no figures, because
/// that has been said.
fn conclusions(metric: &MetricSummary, spoken: &Spoken) -> Vec<String> {
    if let [pair] = metric.pairs.as_slice() {
        return conclusion(metric, spoken, pair, true).into_iter().collect();
    }
    let is_alike = |pair: &&PairSummary| {
        let alike = matches!(pair.verdict, Some(Verdict::Same | Verdict::WithinNoise | Verdict::TooFewRuns));
        alike && pair.unfair.is_empty()
    };
    let others = metric.pairs.iter().filter(|pair| !is_alike(pair));
    let mut texts: Vec<String> = others.filter_map(|pair| conclusion(metric, spoken, pair, false)).collect();
    for verdict in [Verdict::WithinNoise, Verdict::Same, Verdict::TooFewRuns] {
        let group: Vec<&PairSummary> =
            metric.pairs.iter().filter(is_alike).filter(|pair| pair.verdict == Some(verdict)).collect();
        let Some(first) = group.first() else { continue };
        let others: Vec<String> = group.iter().map(|pair| pair.topology.to_string()).collect();
        let all: Vec<String> = std::iter::once(first.against.to_string()).chain(others.iter().cloned()).collect();
        texts.push(match verdict {
            Verdict::Same => format!("{} are the same in every run", show::listed(&all)),
            Verdict::TooFewRuns => format!("too few runs to tell {} apart", show::listed(&all)),
            _ => {
                let others = others.join(" or ");
                format!("no difference between {} and {others} outside of the noise", first.against)
            }
        });
    }
    texts
}

/// What a pair says, with its names unless it is the only one.
fn conclusion(metric: &MetricSummary, spoken: &Spoken, pair: &PairSummary, alone: bool) -> Option<String> {
    let between = if alone { String::new() } else { format!(" between {} and {}", pair.against, pair.topology) };
    let Some(verdict) = pair.verdict else {
        let refused = !pair.unfair.is_empty();
        return refused.then(|| format!("a ratio{between} would not be fair, for {}", reasons(pair)));
    };
    let mut text = match verdict {
        Verdict::Same => format!("no difference{between} in any run"),
        Verdict::WithinNoise => format!("no difference{between} outside of the noise"),
        Verdict::TooFewRuns if once(metric) => return None,
        Verdict::TooFewRuns => format!("too few runs to tell a difference{between}"),
        Verdict::Less | Verdict::More => difference(metric, spoken, pair, verdict, alone)?,
    };
    if !pair.unfair.is_empty() {
        text.push_str(&format!(", which is not a fair comparison, for {}", reasons(pair)));
    }
    Some(text)
}

fn difference(
    metric: &MetricSummary,
    spoken: &Spoken,
    pair: &PairSummary,
    verdict: Verdict,
    alone: bool,
) -> Option<String> {
    // What is larger stands first: "5 times as long" is easier to read than "a fifth of the time".
    let (larger, smaller, ratio) = match verdict {
        Verdict::More => (&pair.topology, &pair.against, pair.ratio),
        _ => (&pair.against, &pair.topology, pair.ratio.map(crate::statistics::Ratio::inverse)),
    };
    let than = |word: &str| if alone { String::new() } else { format!(" {word} {smaller}") };
    let spread =
        |name: &Name| metric.topologies.iter().find(|cell| cell.topology == *name).and_then(|cell| cell.spread);
    let bare = spread(smaller).is_some_and(|spread| spread.max == 0.0)
        && spread(larger).is_some_and(|spread| spread.min > 0.0);
    if bare && metric.unit.has_ratio() {
        // Something in every run against nothing in every run: the figures have said it.
        return None;
    }
    Some(match ratio {
        Some(ratio) => {
            let interval = show::interval(&ratio);
            let interval = if interval.is_empty() { interval } else { format!(" ({interval})") };
            let (times, as_much) = (show::times(ratio.value), spoken.as_much);
            format!("{larger} {} {times} times {as_much}{}{interval}", spoken.verb, than("as"))
        }
        None if metric.better == Better::Higher => format!("{larger} does better{}", than("than")),
        None => format!("{larger} has more{}, and it is not noise", than("than")),
    })
}

/// Whether a figure is no matter of chance and so is measured once.
fn once(metric: &MetricSummary) -> bool {
    catalogue::find(&metric.metric).is_some_and(|metric| Life::makes_once(metric.scenario))
}

/// How many reasons a sentence has at most.
const SAID: usize = 3;

/// What makes a comparison unfair.
fn reasons(pair: &PairSummary) -> String {
    let mut short: Vec<String> = pair.unfair.iter().map(|objection| objection.short.clone()).collect();
    // The table of differences names all.
    if short.len() > SAID {
        let more = short.split_off(SAID - 1).len();
        short.push(format!("{more} more facts differ"));
    }
    show::listed(&short)
}

/// Runs that failed, of the scenarios that answer a question.
fn failures(comparison: &Comparison, question: Question) -> Vec<String> {
    let mut texts = Vec::new();
    for scenario in &comparison.scenarios {
        let speaks = catalogue::ALL.iter().any(|metric| metric.question == question && metric.scenario == *scenario);
        if !speaks {
            continue;
        }
        let counts: Vec<String> = comparison
            .topologies
            .iter()
            .filter_map(|topology| {
                let all = comparison.runs_of(&topology.name, *scenario).count();
                let failed =
                    comparison.runs_of(&topology.name, *scenario).filter(|run| run.failure().is_some()).count();
                (failed > 0).then(|| format!("{failed} of {all} runs of {}", topology.name))
            })
            .collect();
        if !counts.is_empty() {
            texts.push(format!("Scenario {scenario}: {} failed.", show::listed(&counts)));
        }
    }
    texts
}
