//! Steps: `shell`, `file`, `template`, `packages`, `service`, in a machine's block and in recipes.

use super::{
    body::{self, Surroundings},
    mounts, recipes,
};
use crate::{
    SourceKind,
    context::Spotted,
    eval::Eval,
    reader::{Reader, Value},
    scope::Parameters,
    sources::tidy,
};
use camino::Utf8Path;
use indexmap::IndexMap;
use rig_model::{
    Dependency, FileSource, Name, Rights, RunPolicy, Script, ServiceSpec, StepId, StepKind, StepSpec, Text,
};
use std::time::Duration;

/// How long a step may take when the file does not say: a slow mirror needs minutes for a large package.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

const POLICIES: [(&str, RunPolicy); 3] =
    [("once", RunPolicy::Once), ("always", RunPolicy::Always), ("never", RunPolicy::Never)];

/// Where a step stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The folder that its paths are relative to, itself relative to the workspace file's.
    pub(crate) folder: &'a str,
    pub(crate) recipe: Option<&'a Name>,
    pub(crate) requires: &'a [Name],
    pub(crate) parameters: &'a Parameters,
    pub(crate) around: Surroundings<'a>,
}

/// Reads one step; `waits` gets the machines that it waits for.
pub(crate) fn read(
    eval: &mut Eval<'_, '_>,
    mut node: Reader<'_>,
    place: Place<'_>,
    waits: &mut Vec<Spotted<usize>>,
) -> Option<StepSpec> {
    let at = node.at();
    let run = node.prop("run").map_or(Some(RunPolicy::Once), |value| eval.choice(value, "run", &POLICIES));
    let name = node.prop("name").map(|value| eval.word(value, "name"));
    let timeout = node.block.one(eval.cx, "timeout");
    let timeout = match timeout {
        Some(node) => eval.only_value(Some(node), "a duration", |eval, value| eval.duration(value, "timeout")),
        None => Some(TIMEOUT),
    };
    let after = dependencies(eval, &mut node, place.around, waits);
    let kind = match node.name() {
        "shell" => shell(eval, &mut node, place),
        "file" => file(eval, &mut node, place),
        "template" => template(eval, &mut node, place),
        "packages" => packages(eval, &mut node),
        _ => service(eval, &mut node),
    };
    node.finish(eval.cx);
    let (default_name, kind) = kind?;
    let name = match name {
        Some(given) => given?,
        None => default_name,
    };
    Some(StepSpec {
        id: StepId { recipe: place.recipe.cloned(), name },
        requires: place.requires.to_vec(),
        run: run?,
        timeout: timeout?,
        after,
        kind,
        parameters: place.parameters.clone(),
        origin: eval.cx.origin(at),
    })
}

/// `after` nodes: other machines, never the one that the step is in.
pub(crate) fn dependencies(
    eval: &mut Eval<'_, '_>,
    node: &mut Reader<'_>,
    around: Surroundings<'_>,
    waits: &mut Vec<Spotted<usize>>,
) -> Vec<Dependency> {
    let mut after = Vec::new();
    for wait in node.block.all("after") {
        let Some(Spotted { value: (range, condition), at }) = body::after(eval, wait, around.cast) else { continue };
        for number in range {
            let Some(other) = around.cast.members.get(number) else { continue };
            if other.id != around.member.id {
                waits.push(Spotted { value: number, at });
                after.push(Dependency { machine: other.id.clone(), condition });
            }
        }
    }
    after
}

fn shell(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>, place: Place<'_>) -> Option<(String, StepKind)> {
    let name_at = node.name_at();
    let name = node.arg(eval.cx, "a name").and_then(|value| eval.word(value, "shell"));
    let (inline, path) = (node.prop("inline"), node.prop("path"));
    let interpreter = node.prop("interpreter").and_then(|value| eval.word(value, "interpreter"));
    let privileged = node.prop("privileged").map_or(Some(true), |value| eval.boolean(value, "privileged"));
    let reboot = node.prop("reboot").map_or(Some(false), |value| eval.boolean(value, "reboot"));
    let args = node.block.one(eval.cx, "args").map(|node| texts(eval, node, "args")).unwrap_or_default();
    let env = node.block.one(eval.cx, "env").map(|node| body::env(eval, node)).unwrap_or_default();
    let script = match (inline, path) {
        (Some(value), None) => Script::Inline(eval.text(value, "inline")?),
        (None, Some(value)) => Script::Path(source(eval, value, "path", place, Some(SourceKind::File))?),
        (Some(_), Some(value)) => {
            eval.wrong(value.at, "a step runs one script", "keep `inline` or `path`");
            return None;
        }
        (None, None) => {
            let help = "write `inline=\"…\"`, or `path=\"script.sh\"`";
            eval.wrong(name_at, "`shell` has no script", help);
            return None;
        }
    };
    let interpreter = interpreter.map(|text| text.split_whitespace().map(str::to_owned).collect()).unwrap_or_default();
    let kind = StepKind::Shell { script, args, env, interpreter, privileged: privileged?, reboot: reboot? };
    Some((name?, kind))
}

fn file(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>, place: Place<'_>) -> Option<(String, StepKind)> {
    let rights = rights(eval, node);
    let found = match node.prop("artifact") {
        Some(value) => {
            let artifact = eval.word(value, "artifact").and_then(|text| {
                place.around.world.artifacts.refer(eval.cx, &text, value.at)?;
                place.around.world.artifacts.get(&text).cloned()
            });
            artifact.map(|spec| FileSource::Artifact(Box::new(spec)))
        }
        None => {
            let value = node.arg(eval.cx, "a file or folder of this host");
            value.and_then(|value| source(eval, value, "file", place, None)).map(FileSource::Path)
        }
    };
    let target = node.arg(eval.cx, "a path in the machine").and_then(|value| mounts::target(eval, value))?;
    Some((format!("file {target}"), StepKind::File { source: found?, target, rights: rights? }))
}

fn template(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>, place: Place<'_>) -> Option<(String, StepKind)> {
    let rights = rights(eval, node);
    let mut values = IndexMap::new();
    for mut set in node.block.all("set") {
        let key = set.arg(eval.cx, "a name").and_then(|value| recipes::template_name(eval, value, "set"));
        let value = set.arg(eval.cx, "a value").and_then(|value| eval.text(value, "set"));
        set.finish(eval.cx);
        values.extend(key.zip(value));
    }
    let found = node.arg(eval.cx, "a template");
    let found = found.and_then(|value| source(eval, value, "template", place, Some(SourceKind::File)));
    let target = node.arg(eval.cx, "a path in the machine").and_then(|value| mounts::target(eval, value))?;
    Some((format!("template {target}"), StepKind::Template { source: found?, target, rights: rights?, values }))
}

fn packages(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>) -> Option<(String, StepKind)> {
    let mut names = Vec::new();
    for value in node.some_args(eval.cx, "a package's name") {
        let Some(name) = eval.word(value, "packages") else { continue };
        // What a shell or a package manager would take for something else is no package's name anywhere.
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':' | '_' | '=' | '~' | '@');
        if name.starts_with('-') || !name.chars().all(fine) {
            let help = "one name in each pair of quotes: `packages \"a\" \"b\"`";
            eval.wrong(value.at, format!("{name:?} is not the name of a package"), help);
        } else {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| (format!("packages {}", names.join(" ")), StepKind::Packages { names }))
}

fn service(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>) -> Option<(String, StepKind)> {
    let name_at = node.name_at();
    let name = node.arg(eval.cx, "a name").and_then(|value| eval.name(value, "service"));
    let command = node.block.one(eval.cx, "command").map(|node| texts(eval, node, "command"));
    let user = node.block.one(eval.cx, "user");
    let user = eval.only_value(user, "a user", account);
    let env = node.block.one(eval.cx, "env").map(|node| body::env(eval, node)).unwrap_or_default();
    let Some(command) = command.filter(|words| !words.is_empty()) else {
        eval.wrong(
            name_at,
            "`service` has no command",
            "write `command \"/usr/bin/program\" \"argument\"` in its block",
        );
        return None;
    };
    let name = name?.to_string();
    Some((format!("service {name}"), StepKind::Service(ServiceSpec { name, command, user, env })))
}

/// The name of a user of the machine: it becomes a word of scripts that root runs.
pub(super) fn account(eval: &mut Eval<'_, '_>, value: Value<'_>) -> Option<String> {
    let name = eval.word(value, "user")?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with('-') || !name.chars().all(fine) {
        eval.wrong(
            value.at,
            format!("{name:?} is not the name of a user"),
            "letters, digits, hyphens, underscores and dots",
        );
        return None;
    }
    Some(name)
}

fn texts(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, what: &str) -> Vec<Text> {
    let values = node.some_args(eval.cx, "at least one word");
    node.finish(eval.cx);
    values.into_iter().filter_map(|value| eval.text(value, what)).collect()
}

fn rights(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>) -> Option<Rights> {
    let (owner, mode) = (node.prop("owner"), node.prop("mode"));
    let mut rights = Rights::default();
    if let Some(value) = owner {
        let owner = eval.word(value, "owner")?;
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '$');
        if owner.starts_with('-') || !owner.chars().all(fine) {
            let help = "write `owner=\"user\"` or `owner=\"user:group\"`";
            eval.wrong(value.at, format!("{owner:?} is not an owner"), help);
            return None;
        }
        rights.owner = Some(owner);
    }
    if let Some(value) = mode {
        let text = mounts::mode(eval, value)?;
        rights.mode = Some(u32::from_str_radix(&text, 8).ok()?);
    }
    Some(rights)
}

/// A path of the host, checked and relative to the workspace file's folder.
fn source(
    eval: &mut Eval<'_, '_>,
    value: Value<'_>,
    what: &str,
    place: Place<'_>,
    wanted: Option<SourceKind>,
) -> Option<String> {
    let text = eval.word(value, what)?;
    let path = tidy(&Utf8Path::new(place.folder).join(&text));
    let kind = place.around.world.sources.kind(&path);
    let relative = match place.recipe {
        Some(_) => "the path is relative to the recipe's folder",
        None => "the path is relative to the workspace file",
    };
    match (kind, wanted) {
        (None, _) => eval.wrong(value.at, format!("there is no file {path}"), relative),
        (Some(SourceKind::Folder), Some(SourceKind::File)) => {
            eval.wrong(value.at, format!("{path} is a folder"), "name a file");
        }
        _ => return Some(path.into_string()),
    }
    None
}
