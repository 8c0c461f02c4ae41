//! `variable`: values that the command line can set.

use super::declared::Declared;
use crate::{
    VariableInfo, VariableType,
    context::{At, Context, Draft},
    eval::{Eval, scalar},
    reader::{Reader, Value},
    scope::{FACTS, Scope, Variables},
    suggest,
};
use kdl::KdlValue;
use rig_model::Name;
use std::collections::HashMap;

const TYPES: [(&str, VariableType); 4] = [
    ("string", VariableType::String),
    ("integer", VariableType::Integer),
    ("float", VariableType::Float),
    ("boolean", VariableType::Boolean),
];

/// Reads the variables and sets those that the command line names.
pub(crate) fn read(cx: &mut Context, nodes: Vec<Reader<'_>>, given: &[(String, String)]) -> Variables {
    // Of two values for one name the last counts.
    let given: HashMap<&str, &str> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let none = Variables::new();
    let mut declared = Declared::new("variable");
    for mut reader in nodes {
        let at = reader.at();
        let mut eval = Eval { cx: &mut *cx, scope: Scope::outside(&none, "") };
        let name = reader.arg(eval.cx, "a name");
        let default = reader.maybe_arg();
        let named = reader.prop("type").and_then(|value| eval.choice(value, "type", &TYPES));
        reader.finish(eval.cx);
        let Some((name, name_at)) = name.and_then(|value| Some((eval.name(value, "variable")?, value.at))) else {
            continue;
        };
        if FACTS.contains(&name.as_str()) {
            let message = format!("`{name}` is a fact of machines and cannot be a variable");
            let draft = Draft::new(name_at, message).label("taken").help(format!("use another name, as `my-{name}`"));
            cx.report(draft);
            continue;
        }
        let value = variable(cx, &name, at, default, named, given.get(name.as_str()).copied());
        let value = value.unwrap_or_else(|| stand_in(cx, &name, at, default, named));
        declared.declare(cx, name, name_at, Some(value));
    }
    for name in given.keys() {
        if !declared.has(name) {
            let help = suggest::help(name, declared.names(), "the file declares no such variable");
            cx.report(Draft::nowhere(format!("--var {name}: there is no variable `{name}`")).help(help));
        }
    }
    declared.into_items().collect()
}

fn variable(
    cx: &mut Context,
    name: &Name,
    at: At,
    default: Option<Value<'_>>,
    named: Option<VariableType>,
    given: Option<&str>,
) -> Option<VariableInfo> {
    let found = match default.map(|default| (default, default.entry.value())) {
        None => None,
        Some((_, KdlValue::String(_))) => Some(VariableType::String),
        Some((_, KdlValue::Integer(_))) => Some(VariableType::Integer),
        Some((_, KdlValue::Float(_))) => Some(VariableType::Float),
        Some((_, KdlValue::Bool(_))) => Some(VariableType::Boolean),
        Some((default, KdlValue::Null)) => {
            let draft = Draft::new(default.at, format!("variable `{name}` cannot be #null")).label("not a value");
            cx.report(draft.help("leave the default away: `type=\"string\"` makes the variable required"));
            return None;
        }
    };
    let kind = match (named, found) {
        (None, None) => {
            let draft =
                Draft::new(at, format!("variable `{name}` has neither a default nor a type")).label("incomplete");
            cx.report(draft.help(format!(
                "write `variable \"{name}\" 2`, or `variable \"{name}\" type=\"integer\"` when it must be given"
            )));
            return None;
        }
        (Some(VariableType::Float), Some(VariableType::Integer)) => VariableType::Float,
        (Some(named), Some(found)) if named != found => {
            let place = default.map_or(at, |default| default.at);
            let draft = Draft::new(place, format!("variable `{name}` is of type {named}, its default of type {found}"));
            cx.report(draft.label(format!("expected {named}")).help("change one of them"));
            return None;
        }
        (Some(kind), _) | (None, Some(kind)) => kind,
    };
    let default = default.and_then(scalar);
    let value = match (given, &default) {
        (Some(given), _) if fits(kind, given) => given.trim().to_owned(),
        (Some(given), _) => {
            let origin = cx.origin(at);
            cx.report(
                Draft::nowhere(format!("--var {name}={given}: the variable takes a value of type {kind}"))
                    .help(format!("give it as {}; it is declared in {origin}", example(name, kind))),
            );
            return None;
        }
        (None, Some(default)) => default.clone(),
        (None, None) => {
            let draft = Draft::new(at, format!("variable `{name}` has no value")).label("required");
            cx.report(draft.help(format!("give it with {}", example(name, kind))));
            return None;
        }
    };
    // Blanks around a text are the user's; around a number they are none.
    let value = if kind == VariableType::String { given.map_or(value, str::to_owned) } else { value };
    Some(VariableInfo { name: name.clone(), kind, value, default, origin: cx.origin(at) })
}

/// A variable that could not be read has some value all the same, so that what refers to it is no mistake.
fn stand_in(
    cx: &Context,
    name: &Name,
    at: At,
    default: Option<Value<'_>>,
    named: Option<VariableType>,
) -> VariableInfo {
    let is_boolean = matches!(default.map(|default| default.entry.value()), Some(KdlValue::Bool(_)));
    let found = if is_boolean { VariableType::Boolean } else { VariableType::Integer };
    let kind = named.unwrap_or(found);
    let value = if kind == VariableType::Boolean { "true" } else { "1" };
    VariableInfo { name: name.clone(), kind, value: value.to_owned(), default: None, origin: cx.origin(at) }
}

fn fits(kind: VariableType, text: &str) -> bool {
    match kind {
        VariableType::String => true,
        VariableType::Integer => text.trim().parse::<i64>().is_ok(),
        VariableType::Float => text.trim().parse::<f64>().is_ok_and(f64::is_finite),
        VariableType::Boolean => matches!(text.trim(), "true" | "false"),
    }
}

fn example(name: &Name, kind: VariableType) -> String {
    let value = match kind {
        VariableType::String => "text",
        VariableType::Integer => "2",
        VariableType::Float => "0.5",
        VariableType::Boolean => "true",
    };
    format!("`--var {name}={value}`")
}
