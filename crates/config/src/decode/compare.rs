//! `compare`: what `rig compare` does when the command line does not say.

use super::{declared::Declared, topology::Site};
use crate::{
    context::Draft,
    eval::Eval,
    reader::{Reader, Value},
    scope::Variables,
    suggest,
};
use rig_model::{CompareSpec, Name, Scenario};

/// More runs than this take days.
const MOST_RUNS: u32 = 1000;

/// The node, of which a file has at most one.
pub(super) fn read(
    eval: &mut Eval<'_, '_>,
    nodes: Vec<Reader<'_>>,
    sites: &Declared<Site>,
    checks: &[String],
    variables: &Variables,
) -> Option<CompareSpec> {
    let mut found = None;
    let mut first = None;
    for node in nodes {
        if let Some(first) = first {
            let draft = Draft::new(node.name_at(), "`compare` is given twice").label("again").help("keep one of them");
            eval.cx.report(draft.also(first, "first given here"));
            continue;
        }
        first = Some(node.name_at());
        found = one(eval, node, sites, checks, variables);
    }
    found
}

fn one(
    eval: &mut Eval<'_, '_>,
    mut node: Reader<'_>,
    sites: &Declared<Site>,
    checks: &[String],
    variables: &Variables,
) -> Option<CompareSpec> {
    let (at, name_at) = (node.at(), node.name_at());
    let values = node.args();
    let mut topologies: Vec<Name> = Vec::new();
    for value in &values {
        let Some(text) = eval.word(*value, "compare") else { continue };
        let Some(name) = sites.refer(eval.cx, &text, value.at).cloned() else { continue };
        if topologies.contains(&name) {
            eval.wrong(value.at, format!("topology `{name}` is named twice"), "name each topology once");
        } else {
            topologies.push(name);
        }
    }
    if values.len() < 2 {
        let help = "name them: `compare \"naughty\" \"immutable\"`";
        eval.wrong(name_at, "a comparison needs two topologies or more", help);
    }
    let runs = node.block.one(eval.cx, "runs");
    let runs = eval.only_value(runs, "a number", |eval, value| eval.integer(value, "runs", 1..=i128::from(MOST_RUNS)));
    let job = node.block.one(eval.cx, "job");
    let job = eval.only_value(job, "the name of a check", |eval, value| known(eval, value, checks));
    let role = node.block.one(eval.cx, "node");
    let role = eval.only_value(role, "a role or a machine", |eval, value| eval.word(value, "node"));
    let named = node.block.one(eval.cx, "checks");
    let named = named.map(|mut named| {
        let values = named.some_args(eval.cx, "at least one check");
        named.finish(eval.cx);
        values.into_iter().filter_map(|value| known(eval, value, checks)).collect()
    });
    let scenarios = node.block.one(eval.cx, "scenario").map(|mut node| {
        let values = node.some_args(eval.cx, "at least one scenario");
        node.finish(eval.cx);
        let choices = Scenario::ALL.map(|scenario| (scenario.as_str(), scenario));
        values.into_iter().filter_map(|value| eval.choice(value, "scenario", &choices)).collect()
    });
    let change = node.block.one(eval.cx, "change").and_then(|node| change(eval, node, variables));
    let origin = eval.cx.origin(at);
    node.finish(eval.cx);
    Some(CompareSpec {
        topologies,
        runs,
        scenarios: scenarios.unwrap_or_default(),
        job,
        checks: named.unwrap_or_default(),
        node: role,
        change,
        origin,
    })
}

/// A check that is declared. Whether every topology has a machine for it depends on counts, and is the comparison's to say.
fn known(eval: &mut Eval<'_, '_>, value: Value<'_>, checks: &[String]) -> Option<Name> {
    let name = eval.name(value, "check")?;
    if checks.iter().any(|check| check == name.as_str()) {
        return Some(name);
    }
    let help = suggest::help(name.as_str(), checks.iter().map(String::as_str), "the file declares no check");
    eval.cx.report(Draft::new(value.at, format!("there is no check `{name}`")).label("not declared").help(help));
    None
}

/// `change "variable" "value"`
fn change(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, variables: &Variables) -> Option<(String, String)> {
    let name = node.arg(eval.cx, "a variable");
    let value = node.arg(eval.cx, "its new value");
    node.finish(eval.cx);
    let (name, value) = (name?, value?);
    let (text, to) = (eval.word(name, "change")?, eval.closed_text(value, "change")?);
    if !variables.contains_key(text.as_str()) {
        let help = suggest::help(&text, variables.keys().map(Name::as_str), "the file declares no variable");
        eval.cx.report(Draft::new(name.at, format!("there is no variable `{text}`")).label("not declared").help(help));
        return None;
    }
    Some((text, to))
}
