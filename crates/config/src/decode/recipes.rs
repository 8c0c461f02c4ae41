//! Recipes: folders with a `recipe.kdl` whose steps become a machine's when it names them.

use super::{
    artifacts,
    body::Surroundings,
    checks,
    declared::Declared,
    steps::{self, Place},
};
use crate::{
    context::{At, Draft, Spotted},
    eval::{Eval, scalar},
    reader::{Reader, Value},
    scope::{Parameters, Scope},
    sources::tidy,
    suggest,
    syntax::{self, Node, guard},
};
use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use kdl::KdlValue;
use rig_model::{ArtifactSpec, CheckSpec, Name, StepSpec, Text};

/// Where recipes are that are named without a path.
const FOLDER: &str = "recipes";

/// The file that makes a folder a recipe.
const FILE: &str = "recipe.kdl";

/// Steps that a recipe may have.
const STEPS: [&str; 5] = ["shell", "file", "template", "packages", "service"];

const TYPES: [(&str, Kind); 4] =
    [("string", Kind::String), ("integer", Kind::Integer), ("number", Kind::Number), ("boolean", Kind::Boolean)];

/// The recipes that a workspace's machines name, by name; nothing for one that could not be read.
#[derive(Default)]
pub(crate) struct Library(IndexMap<String, Option<Recipe>>);

/// A recipe's file, parsed.
pub(crate) struct Recipe {
    name: Name,
    folder: Utf8PathBuf,
    node: Node,
}

/// The type of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Integer,
    Number,
    Boolean,
}

impl Kind {
    fn of(value: Value<'_>) -> Option<Self> {
        Some(match value.entry.value() {
            KdlValue::String(_) => Self::String,
            KdlValue::Integer(_) => Self::Integer,
            KdlValue::Float(_) => Self::Number,
            KdlValue::Bool(_) => Self::Boolean,
            KdlValue::Null => return None,
        })
    }

    fn article(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "#true or #false",
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::String => true,
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
            Self::Boolean => matches!(text, "true" | "false"),
        }
    }
}

/// Reads the file of every recipe that a machine of these topologies names.
pub(crate) fn read_all(
    eval: &mut Eval<'_, '_>,
    topologies: &[Reader<'_>],
    folder: &Utf8Path,
    sources: &dyn crate::Sources,
    known: &mut Declared<ArtifactSpec>,
) -> Library {
    let mut library = Library::default();
    for topology in topologies {
        let mut topology = topology.again();
        // A recipe in an immutable topology is a mistake of its own.
        if topology.prop("idiom").and_then(|value| value.as_str()) == Some("immutable") {
            continue;
        }
        for mut body in topology.block.among(&["defaults", "machine"]) {
            for mut node in body.block.all("recipe") {
                let Some(value) = node.maybe_arg() else { continue };
                let Some(text) = value.as_str() else { continue };
                if library.0.contains_key(text) {
                    continue;
                }
                let recipe = open(eval, value, text, folder, sources);
                if let Some(recipe) = &recipe {
                    let nodes = Reader::new(&recipe.node).block.all("artifact");
                    // A recipe means the same in every workspace.
                    let nothing = Parameters::new();
                    let scope = Scope { parameters: Some(&nothing), ..eval.scope };
                    let mut inner = Eval { cx: &mut *eval.cx, scope };
                    artifacts::add(&mut inner, nodes, (&recipe.folder, sources), known);
                }
                library.0.insert(text.to_owned(), recipe);
            }
        }
    }
    library
}

/// Reads one recipe's file. `text` is a name, or a folder relative to the workspace file.
fn open(
    eval: &mut Eval<'_, '_>,
    value: Value<'_>,
    text: &str,
    workspace: &Utf8Path,
    sources: &dyn crate::Sources,
) -> Option<Recipe> {
    let folder = if text.contains('/') { tidy(Utf8Path::new(text)) } else { Utf8Path::new(FOLDER).join(text) };
    let path = folder.join(FILE);
    let bytes = match sources.read(&path, guard::MOST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!("there is no recipe `{text}`: {path} is not there"),
                _ => format!("cannot read recipe `{text}`: {error}"),
            };
            let help = format!("a recipe is a folder with a {FILE}; without a `/` it is looked for in {FOLDER}/");
            eval.wrong(value.at, message, help);
            return None;
        }
    };
    let file = guard::text(eval.cx, tidy(&workspace.join(&path)).as_str(), &path, bytes)?;
    let mut nodes = syntax::nodes(eval.cx, file).into_iter();
    let start = At { file, start: 0, len: 0 };
    let Some(node) = nodes.next() else {
        eval.wrong(start, "this recipe is empty", "begin it with `recipe \"name\" {`");
        return None;
    };
    for other in nodes {
        let help = "everything of a recipe stands in the block of its one `recipe` node";
        eval.wrong(other.at, "a recipe's file has one node", help);
    }
    let mut reader = Reader::new(&node);
    if reader.name() != "recipe" {
        eval.wrong(
            reader.name_at(),
            format!("`{}` is not a recipe", reader.name()),
            "begin it with `recipe \"name\" {`",
        );
        return None;
    }
    let name = reader.arg(eval.cx, "a name").and_then(|value| eval.name(value, "recipe"))?;
    Some(Recipe { name, folder, node })
}

/// What a machine gets from a recipe.
pub(crate) struct Applied {
    /// The recipe.
    pub(crate) name: String,
    pub(crate) steps: Vec<StepSpec>,
    pub(crate) checks: Vec<CheckSpec>,
}

/// What a machine gets from a `recipe` node.
pub(crate) fn apply(
    eval: &mut Eval<'_, '_>,
    mut node: Reader<'_>,
    around: Surroundings<'_>,
    waits: &mut Vec<Spotted<usize>>,
) -> Option<Applied> {
    let at = node.name_at();
    let value = node.arg(eval.cx, "a recipe's name");
    let wait = steps::dependencies(eval, &mut node, around, waits);
    let given = node.every_prop();
    node.finish(eval.cx);
    let value = value?;
    let Some(text) = value.as_str() else {
        eval.wrong_type(value, "recipe", "a recipe's name");
        return None;
    };
    let recipe = around.world.recipes.0.get(text)?.as_ref()?;
    let mut reader = Reader::new(&recipe.node);
    reader.maybe_arg();
    let description = reader.block.one(eval.cx, "description");
    eval.only_value(description, "a line", |eval, value| eval.word(value, "description"));
    let requires = requirements(eval, &mut reader);
    let parameters = parameters(eval, &mut reader, &recipe.name, at, &given)?;
    let scope = Scope { parameters: Some(&parameters), ..eval.scope };
    let mut inner = Eval { cx: &mut *eval.cx, scope };
    let place = Place {
        folder: recipe.folder.as_str(),
        recipe: Some(&recipe.name),
        requires: &requires,
        parameters: &parameters,
        around,
    };
    let mut made: Vec<StepSpec> = Vec::new();
    for node in reader.block.among(&STEPS) {
        let step_at = node.at();
        let Some(step) = steps::read(&mut inner, node, place, waits) else { continue };
        if made.iter().any(|other| other.id == step.id) {
            let message = format!("recipe `{}` has two steps called `{}`", recipe.name, step.id.name);
            inner.wrong(step_at, message, "give one of them `name=\"…\"`");
            continue;
        }
        made.push(step);
    }
    let mut found: Vec<CheckSpec> = Vec::new();
    for node in reader.block.all("check") {
        let check_at = node.at();
        let Some(check) = checks::of_recipe(&mut inner, node, &recipe.name, around) else { continue };
        if found.iter().any(|other| other.name == check.name) {
            let message = format!("recipe `{}` has two checks of one name", recipe.name);
            inner.wrong(check_at, message, "rename one of them");
            continue;
        }
        found.push(check);
    }
    // Read with the file.
    reader.block.all("artifact");
    reader.finish(inner.cx);
    if let Some(first) = made.first_mut() {
        first.after.splice(0..0, wait);
    }
    Some(Applied { name: recipe.name.to_string(), steps: made, checks: found })
}

/// The recipes whose change makes this one run again.
fn requirements(eval: &mut Eval<'_, '_>, reader: &mut Reader<'_>) -> Vec<Name> {
    let mut names = Vec::new();
    for mut node in reader.block.all("requires") {
        for value in node.some_args(eval.cx, "a recipe's name") {
            names.extend(eval.name(value, "requires"));
        }
        node.finish(eval.cx);
    }
    names
}

/// The recipe's parameters with the values that the machine gives, or their defaults. A default may name parameters that
/// stand before it.
fn parameters(
    eval: &mut Eval<'_, '_>,
    reader: &mut Reader<'_>,
    recipe: &Name,
    at: At,
    given: &[(&str, Value<'_>)],
) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    let mut names: Vec<String> = Vec::new();
    let mut is_whole = true;
    for mut node in reader.block.all("parameter") {
        let name_at = node.name_at();
        let name = node.arg(eval.cx, "a name").and_then(|value| template_name(eval, value, "parameter"));
        let default = node.prop("default");
        let kind = node.prop("type").and_then(|value| eval.choice(value, "type", &TYPES));
        let description = node.prop("description");
        description.and_then(|value| eval.word(value, "description"));
        node.finish(eval.cx);
        let Some(name) = name else { continue };
        // Templates write both in the same way.
        if names.iter().any(|other| other.replace('-', "_") == name.replace('-', "_")) {
            eval.wrong(name_at, format!("parameter `{name}` is declared twice"), "keep one of them");
            continue;
        }
        names.push(name.clone());
        let kind = kind.or(default.and_then(Kind::of)).unwrap_or(Kind::String);
        let value = match (given.iter().find(|(key, _)| *key == name), default) {
            (Some((_, value)), _) => argument(eval, *value, &name, kind),
            (None, Some(default)) => {
                let scope = Scope { parameters: Some(&parameters), ..eval.scope };
                let mut inner = Eval { cx: &mut *eval.cx, scope };
                argument(&mut inner, default, &name, kind)
            }
            (None, None) => {
                let draft = Draft::new(at, format!("recipe `{recipe}` needs the parameter `{name}`"));
                let draft = draft.label(format!("`{name}=…` is missing here"));
                eval.cx.report(draft.help(format!("it takes {}", kind.article())).also(name_at, "declared here"));
                None
            }
        };
        is_whole &= value.is_some();
        // What stands in for a value that is missing keeps what names it from being a mistake as well.
        parameters.insert(name, value.unwrap_or_else(|| Text::literal("1")));
    }
    for (key, value) in given {
        if !names.iter().any(|name| name == key) {
            let help = suggest::help(key, names.iter().map(String::as_str), "it takes none");
            let message = format!("recipe `{recipe}` has no parameter `{key}`");
            eval.cx.report(Draft::new(value.at, message).label("not known there").help(help));
            is_whole = false;
        }
    }
    is_whole.then_some(parameters)
}

/// A name that templates can call: an identifier, with hyphens where they write underscores, and none of their facts.
pub(super) fn template_name(eval: &mut Eval<'_, '_>, value: Value<'_>, what: &str) -> Option<String> {
    let name = eval.word(value, what)?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fine) {
        eval.wrong(
            value.at,
            format!("{name:?} cannot be a name"),
            "letters, digits, hyphens and underscores, a letter first",
        );
    } else if matches!(name.as_str(), "machine" | "peers" | "topology" | "workspace") {
        eval.wrong(value.at, format!("`{name}` is a fact of machines"), format!("use another name, as `my-{name}`"));
    } else {
        return Some(name);
    }
    None
}

/// A parameter's value, checked for its type.
fn argument(eval: &mut Eval<'_, '_>, value: Value<'_>, name: &str, kind: Kind) -> Option<Text> {
    let found = Kind::of(value);
    let is_reference = value.as_str().is_some_and(|text| text.contains('{'));
    let widened = found == Some(Kind::Integer) && kind == Kind::Number;
    if found != Some(kind) && !is_reference && !widened && kind != Kind::String || found.is_none() {
        eval.wrong_type(value, name, kind.article());
        return None;
    }
    if kind == Kind::String {
        return eval.text(value, name);
    }
    let text = if is_reference { eval.closed_text(value, name)? } else { scalar(value)? };
    if !kind.fits(text.trim()) {
        eval.wrong(value.at, format!("`{name}` takes {}, this is {text:?}", kind.article()), "give it another value");
        return None;
    }
    Some(Text::literal(text.trim()))
}
