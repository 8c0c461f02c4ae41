//! What a comparison says, in words and figures.

use crate::example;
use rig_compare::{
    Comparison, Measured, Report, SCHEMA, Summary, Table, catalogue, differences, failures, gaps, metrics, summarise,
};

fn sentences(summary: &Summary) -> String {
    let mut text = String::new();
    for answer in &summary.answers {
        text.push_str(answer.asked);
        text.push('\n');
        for sentence in &answer.sentences {
            text.push_str("  ");
            text.push_str(sentence);
            text.push('\n');
        }
    }
    text
}

fn lines(table: &Table) -> String {
    let mut text = table.header.join(" | ");
    for row in &table.rows {
        assert_eq!(row.len(), table.header.len(), "{row:?}");
        text.push('\n');
        text.push_str(&row.join(" | "));
    }
    text
}

fn sentence_of(comparison: &Comparison, unfair: bool, start: &str) -> String {
    let summary = summarise(comparison, unfair).unwrap();
    let all = summary.answers.iter().flat_map(|answer| &answer.sentences);
    all.filter(|sentence| sentence.starts_with(start)).cloned().collect::<Vec<_>>().join("\n")
}

#[test]
fn the_realistic_example_in_sentences() {
    insta::assert_snapshot!(sentences(&summarise(&example::realistic(), false).unwrap()));
}

#[test]
fn refused_ratios_in_sentences() {
    insta::assert_snapshot!(sentences(&summarise(&example::unfair(), false).unwrap()));
}

#[test]
fn the_tables_of_a_terminal() {
    let comparison = example::unfair();
    let summary = summarise(&comparison, false).unwrap();
    let text =
        [metrics(&summary), differences(&comparison), failures(&summary), gaps(&summary)].map(|table| lines(&table));
    insta::assert_snapshot!(text.join("\n\n"));
}

#[test]
fn the_document_can_be_read_again() {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        schema: &'a str,
        #[serde(flatten)]
        report: Report<'a>,
    }
    let comparison = example::realistic();
    let summary = summarise(&comparison, false).unwrap();
    let report = Report { comparison: &comparison, summary: &summary };
    let text = serde_json::to_string(&Document { schema: SCHEMA, report }).unwrap();
    assert_eq!(Comparison::read(&text).unwrap(), comparison);
    let twice = text.replacen("\"name\":\"immutable\"", "\"name\":\"naughty\"", 1);
    assert!(Comparison::read(&twice).unwrap_err().to_string().contains("names topology naughty twice"));
}

#[test]
fn the_shape_of_the_summary() {
    let summary = summarise(&example::unfair(), true).unwrap();
    insta::assert_json_snapshot!(serde_json::json!({
        "reference": summary.reference,
        "planned": summary.planned,
        "made": summary.made,
        "ready": summary.metric("up.ready"),
        "scaled": summary.metric("scale-out.registered"),
        "replaced": summary.metric("replace.whole"),
        "fetched": summary.metric("cost.received-bytes"),
        "grade": summary.metric("reproducibility.grade"),
    }));
}

#[test]
fn an_unfair_ratio_is_shown_only_when_asked_for() {
    let comparison = example::unfair();
    let objection = "heap.executor of role worker is 512m in naughty and 1g in immutable";
    let refused = sentence_of(&comparison, false, "From nothing to ready");
    assert!(refused.ends_with(&format!(": a ratio would not be fair, for {objection}.")), "{refused}");
    assert!(!refused.contains("times"), "{refused}");
    let shown = sentence_of(&comparison, true, "From nothing to ready");
    assert!(shown.contains("naughty took 3.70") && shown.contains("times as long"), "{shown}");
    assert!(shown.ends_with(&format!(", which is not a fair comparison, for {objection}.")), "{shown}");
    let images = sentence_of(&comparison, false, "On disk before anything runs");
    assert!(images.contains("immutable needed 3.23 times as much"), "a heap does not make an image larger: {images}");
}

#[test]
fn few_runs_are_said_to_be_few() {
    let few = example::finished(&["naughty", "immutable"], 2, "512m");
    let text = sentence_of(&few, false, "From nothing to ready");
    assert!(text.ends_with(": too few runs to tell a difference."), "{text}");
    let summary = summarise(&few, false).unwrap();
    assert!(summary.metrics.iter().flat_map(|metric| &metric.pairs).all(|pair| pair.ratio.is_none()));
}

#[test]
fn three_topologies_are_measured_against_the_first() {
    let three = example::finished(&["naughty", "immutable", "naughty-too"], 5, "512m");
    let text = sentence_of(&three, false, "From nothing to ready");
    assert!(text.contains("times as long as immutable ("), "{text}");
    assert!(text.ends_with("; no difference between naughty and naughty-too outside of the noise."), "{text}");
    let text = sentence_of(&three, false, "On the network");
    assert!(text.contains("naughty and naughty-too are the same in every run"), "{text}");
}

#[test]
fn a_topology_compared_with_its_like_is_no_different() {
    let like = example::finished(&["naughty", "immutable", "naughty-too"], 5, "512m");
    let summary = summarise(&like, false).unwrap();
    let claimed =
        summary.metrics.iter().flat_map(|metric| &metric.pairs).filter(|pair| {
            pair.topology.as_str() == "naughty-too" && pair.verdict.is_some_and(|it| it.is_difference())
        });
    assert_eq!(claimed.count(), 0);
}

#[test]
fn nothing_but_failures_is_said_too() {
    let mut broken = example::finished(&["naughty", "immutable"], 3, "512m");
    let why = "no engine";
    for run in &mut broken.runs {
        run.outcome = rig_compare::RunOutcome::Failed { why: why.to_owned() };
    }
    let summary = summarise(&broken, false).unwrap();
    assert!(summary.metrics.is_empty());
    let text = sentences(&summary);
    assert!(text.contains("Scenario up: 3 of 3 runs of naughty and 3 of 3 runs of immutable failed."), "{text}");
    rig_compare::html(&broken, &summary).unwrap();
}

#[test]
fn nothing_at_all_is_a_page_too() {
    let empty = example::planned(&["naughty", "immutable"], 3, "512m");
    let summary = summarise(&empty, false).unwrap();
    assert!(summary.answers.is_empty() && summary.metrics.is_empty());
    let page = rig_compare::html(&empty, &summary).unwrap();
    assert!(page.contains("There is no answer yet"));
    let mut alone = empty;
    alone.topologies.truncate(1);
    assert_eq!(summarise(&alone, false), None);
}

#[test]
fn a_metric_of_another_version_is_shown_by_its_id() {
    let mut comparison = example::realistic();
    let metric = catalogue::find("up.ready").unwrap();
    example::set(&mut comparison, "naughty", "up.boot", |number| {
        let mut value = Measured::value(metric, f64::from(number));
        value.metric = "up.something-new".to_owned();
        value
    });
    let summary = summarise(&comparison, false).unwrap();
    let metric = summary.metrics.last().unwrap();
    assert_eq!((metric.metric.as_str(), metric.question), ("up.something-new", None));
    assert!(rig_compare::html(&comparison, &summary).unwrap().contains("Other metrics"));
}

#[test]
fn what_no_other_topology_has_is_known_when_all_were_measured() {
    use rig_compare::{Reading, Run, RunOutcome, Scenario, layers};
    use rig_model::Bytes;
    let mut comparison = example::planned(&["naughty", "immutable"], 1, "512m");
    let run = |topology: &str, of: &[(&str, u64)]| {
        let details: Vec<_> = of.iter().map(|(id, bytes)| layers::detail(id, Bytes(*bytes))).collect();
        let total = of.iter().map(|(_, bytes)| *bytes as f64).sum();
        let value = Measured::value(catalogue::find("size.image-bytes").unwrap(), total).with_details(details);
        Run {
            topology: example::name(topology),
            scenario: Scenario::Size,
            number: 1,
            started: "2026-11-21T12:00:00Z".parse().unwrap(),
            seconds: 1.0,
            outcome: RunOutcome::Measured { values: vec![value] },
        }
    };
    let unique = |comparison: &Comparison| -> Vec<Reading> {
        let values = comparison.runs.iter().flat_map(Run::values);
        values.filter(|value| value.metric == "size.image-unique-bytes").map(|value| value.reading.clone()).collect()
    };
    comparison.runs.push(run("naughty", &[("base", 100), ("sshd", 20)]));
    layers::tell_unique(&mut comparison);
    assert_eq!(unique(&comparison), [Reading::Missing("the layers of immutable are not known".to_owned())]);
    comparison.runs.push(run("immutable", &[("base", 100), ("jvm", 50), ("spark", 7)]));
    layers::tell_unique(&mut comparison);
    layers::tell_unique(&mut comparison);
    assert_eq!(unique(&comparison), [Reading::Value(20.0), Reading::Value(57.0)]);
}
