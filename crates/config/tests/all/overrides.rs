//! What the command line says over the file.

use super::support::{folders, line};
use rig_config::{Loaded, Overrides, VariableType, parse};
use rig_model::Name;

const FILE: &str = r#"workspace "test"
variable "workers" 2
variable "factor" 1.50
variable "open" #false
variable "label" "a"
variable "token" type="string"
box "base" { image "debian" }
topology "lab" idiom="immutable" {
    machine "worker" count="{workers}" { box "base"; command "{factor}" "{label}" "{token}"; read-only "{open}" }
    machine "single" { box "base" }
}
"#;

fn load(variables: &[(&str, &str)], counts: &[(&str, &str, u32)]) -> Result<Loaded, Vec<String>> {
    let name = |text: &str| Name::new(text).unwrap();
    let overrides = Overrides {
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        counts: counts.iter().map(|(topology, group, count)| ((name(topology), name(group)), *count)).collect(),
    };
    parse("workspace.kdl", FILE, &overrides, &folders()).map_err(|mistakes| mistakes.iter().map(line).collect())
}

#[test]
fn variables_are_set_and_described() {
    let loaded =
        load(&[("token", "t"), ("workers", "9"), ("workers", "3"), ("open", "true"), ("label", " b ")], &[]).unwrap();
    assert_eq!(loaded.workspace.machines().count(), 4);
    let first = loaded.workspace.machines().next().unwrap();
    assert!(first.security.read_only);
    let command: Vec<_> = first.command.iter().map(|word| word.resolve(&|_| None).unwrap()).collect();
    assert_eq!(command, ["1.50", " b ", "t"]);
    let infos: Vec<_> = loaded
        .variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.kind, variable.value.as_str(), variable.default.as_deref()))
        .collect();
    assert_eq!(infos[0], ("workers", VariableType::Integer, "3", Some("2")));
    assert_eq!(infos[4], ("token", VariableType::String, "t", None));
    assert_eq!(loaded.variables[1].origin.to_string(), "workspace.kdl:3");
}

#[test]
fn wrong_values_say_what_was_given() {
    let found = load(&[("workers", "two"), ("open", "yes"), ("factor", "inf"), ("lable", "x")], &[]).unwrap_err();
    assert_eq!(
        found,
        [
            "--var workers=two: the variable takes a value of type integer | give it as `--var workers=2`; it is declared in workspace.kdl:2",
            "--var factor=inf: the variable takes a value of type float | give it as `--var factor=0.5`; it is declared in workspace.kdl:3",
            "--var open=yes: the variable takes a value of type boolean | give it as `--var open=true`; it is declared in workspace.kdl:4",
            "--var lable: there is no variable `lable` | did you mean `label`?",
            "6:1: variable `token` has no value | give it with `--var token=text`",
        ]
    );
    let found = load(&[("token", "t"), ("workers", "501")], &[]).unwrap_err();
    assert!(found[0].contains("`count` is from 0 to 500, not 501"), "{found:?}");
}

#[test]
fn counts_are_set() {
    let count = |counts: &[_]| load(&[("token", "t")], counts).unwrap().workspace.topologies["lab"].counts["worker"];
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&[("lab", "worker", 5)]), 5);
    assert_eq!(count(&[("lab", "worker", 0)]), 0);
}

#[test]
fn counts_for_what_is_not_there_are_mistakes() {
    let found = load(
        &[("token", "t")],
        &[("bal", "worker", 1), ("lab", "wrker", 1), ("lab", "single", 2), ("lab", "worker", 501)],
    );
    let found = found.unwrap_err();
    assert_eq!(found.len(), 4, "{found:#?}");
    for expected in [
        "cannot scale bal/worker: there is no topology `bal` | known here: `lab`",
        "cannot scale lab/wrker: there is no such group | did you mean `worker`?",
        "cannot scale lab/single: it is one machine without a `count` | give it a count to begin with: `machine \"single\" count=1`",
        "cannot scale lab/worker to 501 machines | a group has at most 500",
    ] {
        assert!(found.iter().any(|mistake| mistake == expected), "{expected}\n{found:#?}");
    }
}
