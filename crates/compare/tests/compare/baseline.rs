//! A comparison against an earlier one.

use crate::example::{self, fail, set};
use rig_compare::{Measured, Scenario, baseline, catalogue, mismatches};
use rig_model::Bytes;

fn slower(factor: f64) -> rig_compare::Comparison {
    let mut now = example::realistic();
    let ready = catalogue::find("up.ready").unwrap();
    set(&mut now, "immutable", "up.ready", |number| Measured::value(ready, 13.9 * factor + f64::from(number) / 10.0));
    now
}

#[test]
fn the_same_runs_hold() {
    let earlier = example::realistic();
    let changes = baseline::changes(&earlier, &earlier, 0.0).unwrap();
    assert!(changes.hold() && changes.improvements.is_empty());
    assert!(changes.compared > 60, "{}", changes.compared);
}

#[test]
fn what_is_slower_is_named_above_the_threshold_only() {
    let earlier = example::realistic();
    let changes = baseline::changes(&earlier, &slower(1.5), 20.0).unwrap();
    let lines: Vec<String> = changes.regressions.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["immutable, From nothing to ready (up.ready): 13.9 s before, 21.2 s now (+52.6 %)"]);
    assert!(!changes.hold());
    assert!(baseline::changes(&earlier, &slower(1.5), 60.0).unwrap().hold());
    let better = baseline::changes(&earlier, &slower(0.5), 20.0).unwrap();
    assert!(better.hold() && better.improvements.len() == 1);
}

#[test]
fn something_where_nothing_was_is_a_regression_at_any_threshold() {
    let earlier = example::realistic();
    let mut now = earlier.clone();
    let paths = catalogue::find("drift.paths").unwrap();
    set(&mut now, "immutable", "drift.paths", |_| Measured::value(paths, 2.0));
    let changes = baseline::changes(&earlier, &now, 500.0).unwrap();
    let lines: Vec<String> = changes.regressions.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["immutable, Paths that changed while the checks ran (drift.paths): 0 before, 2 now"]);
}

#[test]
fn what_can_no_longer_be_measured_does_not_hold() {
    let earlier = example::realistic();
    let mut now = earlier.clone();
    for number in 1..=5 {
        fail(&mut now, "immutable", Scenario::Destroy, number, "the engine is gone");
    }
    let changes = baseline::changes(&earlier, &now, 10.0).unwrap();
    assert!(!changes.hold());
    let lost: Vec<_> = changes.lost.iter().map(|lost| (lost.metric.as_str(), lost.why.as_str())).collect();
    assert_eq!(lost, [("destroy.done", "the engine is gone")]);
    now.scenarios.retain(|scenario| *scenario != Scenario::Destroy);
    now.runs.retain(|run| run.scenario != Scenario::Destroy);
    assert!(baseline::changes(&earlier, &now, 10.0).unwrap().hold(), "a scenario that was not run is not lost");
}

#[test]
fn other_circumstances_are_refused_with_the_fact() {
    let earlier = example::realistic();
    let mut now = earlier.clone();
    now.host.engine = "Docker 20.10.24".to_owned();
    now.host.memory = Bytes(8 << 30);
    now.host.rig = "0.2.0".to_owned();
    let error = baseline::changes(&earlier, &now, 10.0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the baseline cannot be compared: engine: Docker 28.5.2 there, Docker 20.10.24 here; memory: 24GiB there, 8GiB here"
    );
    let other = example::finished(&["naughty", "slim"], 5, "512m");
    let error = baseline::changes(&earlier, &other, 10.0).unwrap_err();
    assert!(error.to_string().contains("topologies: naughty (mutable), immutable (immutable) there"), "{error}");
    assert!(baseline::changes(&earlier, &earlier, -1.0).is_err());
}

#[test]
fn an_interrupted_comparison_goes_on_only_as_what_it_was() {
    let begun = example::planned(&["naughty", "immutable"], 5, "512m");
    assert_eq!(begun.obstacles_to_resuming(&begun), []);
    let mut more = begun.clone();
    more.planned_runs = 9;
    assert_eq!(begun.obstacles_to_resuming(&more), []);
    let mut other = begun.clone();
    other.seed += 1;
    other.planned_runs = 3;
    other.host.rig = "0.2.0".to_owned();
    let found: Vec<&str> = begun.obstacles_to_resuming(&other).iter().map(|one| one.what).collect();
    assert_eq!(found, ["seed", "version of rig", "number of runs"]);
    let heap = example::planned(&["naughty", "immutable"], 5, "1g");
    let found = begun.obstacles_to_resuming(&heap);
    assert!(matches!(found.as_slice(), [one] if one.what == "what the topologies are made of"), "{found:?}");
    assert_eq!(mismatches(&begun, &other), []);
}
