//! Templates in the language of Jinja. A name that means nothing is an error with its place, never an empty text.

use crate::{Facts, Peer, RecipeError};
use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};
use std::collections::BTreeMap;

/// Whether a text is a template.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn check(file: &str, bytes: &[u8]) -> Result<(), RecipeError> {
    let environment = environment();
    environment.template_from_str(text(file, bytes)?).map(|_| ()).map_err(|error| broken(file, &error, Vec::new()))
}

/// Fills a template in.
///
/// # Errors
/// When it names something that is not there, or is no template.
pub(crate) fn render(
    file: &str,
    bytes: &[u8],
    facts: &Facts,
    values: &BTreeMap<String, String>,
) -> Result<String, RecipeError> {
    let environment = environment();
    let template =
        environment.template_from_str(text(file, bytes)?).map_err(|error| broken(file, &error, Vec::new()))?;
    let mut context: BTreeMap<&str, Value> =
        values.iter().map(|(name, value)| (name.as_str(), Value::from(value))).collect();
    context.insert("machine", machine(&facts.machine));
    context.insert("peers", facts.peers.iter().map(machine).collect());
    context.insert("topology", Value::from(&facts.topology));
    context.insert("workspace", Value::from(&facts.workspace));
    let known: Vec<String> = context.keys().map(|name| (*name).to_owned()).collect();
    template.render(Value::from_pairs(context)).map_err(|error| broken(file, &error, known))
}

/// A machine as templates see it.
fn machine(peer: &Peer) -> Value {
    let Peer { name, host, ip, group, index, role, cpus, memory_mib } = peer;
    Value::from_pairs([
        ("name", Value::from(name)),
        ("host", Value::from(host)),
        ("ip", Value::from(ip)),
        ("group", Value::from(group)),
        ("index", Value::from(*index)),
        ("role", Value::from(role)),
        ("cpus", Value::from(cpus)),
        ("memory_mib", Value::from(*memory_mib)),
    ])
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Configuration files end with a line end, and a line with nothing but a tag is no line of theirs.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build();
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    environment
}

fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, RecipeError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        RecipeError::Template {
            file: file.to_owned(),
            line: u32::try_from(lines + 1).unwrap_or(u32::MAX),
            why: "a template is UTF-8, this line is not".to_owned(),
            known: Vec::new(),
        }
    })
}

fn broken(file: &str, error: &minijinja::Error, known: Vec<String>) -> RecipeError {
    let is_undefined = error.kind() == minijinja::ErrorKind::UndefinedError;
    let why = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None if is_undefined => match error.range().zip(error.template_source()) {
            Some((range, source)) => {
                format!("`{}` is not defined", source.get(range).unwrap_or_default())
            }
            None => error.kind().to_string(),
        },
        None => error.kind().to_string(),
    };
    RecipeError::Template {
        file: file.to_owned(),
        line: error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(1),
        why,
        known: if is_undefined { known } else { Vec::new() },
    }
}
