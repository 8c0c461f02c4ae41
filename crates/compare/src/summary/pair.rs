//! A topology against the first: the ratio where there is one to defend, and the reason where there is none.

use super::{Cell, PairSummary};
use crate::{
    Comparison, Life,
    catalogue::{self, Better, Unit},
    fairness, show,
    statistics::{self, Contrast, FEWEST_RUNS, Sample, Verdict},
};

pub(super) fn pair(
    comparison: &Comparison,
    metric: &str,
    unit: Unit,
    better: Better,
    (first, first_sample): &(Cell, Sample),
    (second, second_sample): &(Cell, Sample),
    unfair: bool,
) -> PairSummary {
    let mut pair = PairSummary {
        topology: second.topology.clone(),
        against: first.topology.clone(),
        ratio: None,
        verdict: None,
        why_no_ratio: None,
        unfair: fairness::objections(&comparison.fairness, metric, &first.topology, &second.topology),
        shown_ratio: String::new(),
        shown_verdict: String::new(),
    };
    let missing: Vec<String> = [first, second]
        .into_iter()
        .filter(|cell| cell.spread.is_none())
        .map(|cell| format!("{}: {}", cell.topology, cell.shown))
        .collect();
    if !missing.is_empty() {
        // Without figures there is nothing that could be fair or not.
        pair.unfair.clear();
        return pair.without("not measured", missing.join("; "));
    }
    if !pair.unfair.is_empty() && !unfair {
        let reasons: Vec<&str> = pair.unfair.iter().map(|objection| objection.full.as_str()).collect();
        let why = reasons.join("; ");
        return pair.without("not fair", why);
    }
    let Contrast { verdict, ratio } = statistics::contrast(first_sample, second_sample);
    pair.verdict = Some(verdict);
    // Such a figure is no matter of chance.
    let once = catalogue::find(metric).is_some_and(|metric| Life::makes_once(metric.scenario));
    pair.shown_verdict = verdict_in_short(&pair, verdict, unit, better, once);
    let why = if verdict == Verdict::TooFewRuns {
        format!("a comparison needs at least {FEWEST_RUNS} values on each side")
    } else if !unit.has_ratio() {
        "grades and answers of yes or no have no ratio".to_owned()
    } else if let Some(ratio) = ratio {
        pair.shown_ratio = show::ratio(&ratio);
        pair.ratio = Some(ratio);
        return pair;
    } else {
        "nothing has no ratio: a value is 0".to_owned()
    };
    pair.shown_ratio = "none".to_owned();
    pair.why_no_ratio = Some(why);
    pair
}

impl PairSummary {
    /// A pair of which nothing is said but why.
    fn without(mut self, short: &str, why: String) -> Self {
        self.shown_ratio = "none".to_owned();
        self.shown_verdict = short.to_owned();
        self.why_no_ratio = Some(why);
        self
    }
}

fn verdict_in_short(pair: &PairSummary, verdict: Verdict, unit: Unit, better: Better, once: bool) -> String {
    let (word, is_better) = match verdict {
        Verdict::Less => ("less", better == Better::Lower),
        Verdict::More => ("more", better == Better::Higher),
        Verdict::Same => return "the same".to_owned(),
        Verdict::WithinNoise => return "within the noise".to_owned(),
        Verdict::TooFewRuns if once => return "measured once".to_owned(),
        Verdict::TooFewRuns => return "too few runs".to_owned(),
    };
    match better {
        Better::Neither => format!("{} {word}", pair.topology),
        _ => {
            let merit = if is_better { "better" } else { "worse" };
            let amount = if unit.has_ratio() { format!(" {word},") } else { String::new() };
            format!("{}{amount} {merit}", pair.topology)
        }
    }
}
