//! What a comparison measures.

use crate::support::{CLUSTER, execute, fake, load, planned};
use rig_engine::{Interrupt, Setup, SetupError, Wishes};
use rig_model::{Name, Phase, Scenario};
use std::time::Duration;

fn text(compare: &str) -> String {
    let topology = |name: &str, group: &str, check: &str| {
        format!(
            r#"
topology "{name}" idiom="immutable" {{
    defaults {{ box "small" }}
    machine "front" role="front"
    machine "{group}" role="node" count=2
    {check}
}}
"#
        )
    };
    let one = topology("one", "node", "check \"own\" on=\"front\" { run \"true\"; }");
    let two = topology("two", "member", "");
    format!(
        r#"
workspace "lab"
variable "size" 1
box "small" {{ image "small" }}
{one}{two}
check "port" tcp=80 on="front"
check "again" on="front" {{ restart "node"; then "port"; }}
check "job" on="front" {{ run "true"; }}
{compare}
"#
    )
}

fn setup(compare: &str, wishes: &Wishes) -> Result<Setup, SetupError> {
    Setup::new(&load(&text(compare), &[]), wishes)
}

fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(Name::as_str).collect()
}

#[test]
fn what_nobody_says_is_found() {
    let setup = setup("", &Wishes::default()).unwrap();
    assert_eq!(names(&setup.topologies), ["one", "two"]);
    assert_eq!((setup.runs, setup.job.as_ref().map(Name::as_str)), (5, Some("job")));
    // Not the check that restarts, nor the one that only one of them has.
    assert_eq!(names(&setup.checks), ["port", "job"]);
    // The role that most machines have, whatever the group is called.
    assert_eq!(names(&setup.nodes), ["node", "member"]);
    let left_out: Vec<Scenario> = setup.left_out.iter().map(|(scenario, _)| *scenario).collect();
    assert_eq!(left_out, [Scenario::Change]);
    assert_eq!(setup.scenarios.len(), Scenario::ALL.len() - 1);
}

#[test]
fn the_command_line_counts_more_than_the_file() {
    let file = "compare \"two\" \"one\" { runs 3; node \"front\"; change \"size\" 2; checks \"job\"; scenario \"up\" \"change\"; }";
    let of_file = setup(file, &Wishes::default()).unwrap();
    assert_eq!(names(&of_file.topologies), ["two", "one"]);
    assert_eq!((of_file.runs, of_file.scenarios.as_slice()), (3, &[Scenario::Up, Scenario::Change] as &[Scenario]));
    assert_eq!((names(&of_file.checks), of_file.change), (vec!["job"], Some(("size".to_owned(), "2".to_owned()))));
    let wishes = Wishes {
        topologies: ["one", "two"].map(|name| Name::new(name).unwrap()).to_vec(),
        runs: Some(9),
        scenarios: vec![Scenario::Drift, Scenario::Up],
        without: vec![Scenario::Up],
    };
    let wished = setup(file, &wishes).unwrap();
    assert_eq!(names(&wished.topologies), ["one", "two"]);
    assert_eq!((wished.runs, wished.scenarios.as_slice()), (9, &[Scenario::Drift] as &[Scenario]));
}

#[test]
fn what_cannot_be_measured_is_left_out_unless_it_was_asked_for() {
    // Nothing is added to a machine without a count.
    let file = "compare \"one\" \"two\" { node \"front\"; }";
    let setup = |wishes: &Wishes| setup(file, wishes);
    let left_out: Vec<Scenario> =
        setup(&Wishes::default()).unwrap().left_out.iter().map(|(scenario, _)| *scenario).collect();
    assert_eq!(left_out, [Scenario::ScaleOut, Scenario::Replace, Scenario::Change]);
    let error = setup(&Wishes { scenarios: vec![Scenario::Replace], ..Wishes::default() }).unwrap_err();
    assert!(error.message.contains("topology one has no group with a `count`"), "{error}");
    let error = setup(&Wishes { runs: Some(0), ..Wishes::default() }).unwrap_err();
    assert_eq!(error.message, "a comparison without runs says nothing");
    let error = setup(&Wishes { topologies: vec![Name::new("one").unwrap()], ..Wishes::default() }).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("the file declares: one, two"));
}

#[tokio::test]
async fn phases_share_the_way_that_took_longest() {
    let workspace = load(CLUSTER, &[]);
    let fake = fake();
    fake.machine("main/first").listens(80);
    let plan = planned(&workspace, &fake).await.unwrap();
    let report = execute(&workspace, &fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success());
    // The last machine is started when the first one is ready, which was made of a box.
    let phases: Vec<Phase> = report.critical.keys().copied().collect();
    assert!(phases.ends_with(&[Phase::Boot, Phase::Converge]), "{phases:?}");
    assert!(report.critical.values().sum::<Duration>() <= report.elapsed);
}
