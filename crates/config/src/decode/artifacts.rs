//! `artifact`: files from elsewhere, fixed by their checksums.

use super::declared::Declared;
use crate::{
    SourceKind, Sources,
    context::{At, Draft},
    eval::Eval,
    reader::{Reader, Value},
    sources::tidy,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{ArtifactSource, ArtifactSpec, Digest, Name};

const FORMS: &str = "write \"pypi:project\", \"maven:group:artifact\", \"https://…\", \"list:path\" or \"file:path\"";

/// All artifacts of the file.
pub(crate) fn read(eval: &mut Eval<'_, '_>, nodes: Vec<Reader<'_>>, sources: &dyn Sources) -> Declared<ArtifactSpec> {
    let mut artifacts = Declared::new("artifact");
    let files = Files { folder: Utf8Path::new(""), sources };
    for reader in nodes {
        if let Some((name, at, spec)) = named(eval, reader, files) {
            artifacts.declare(eval.cx, name, at, spec);
        }
    }
    artifacts
}

/// Adds the artifacts of a recipe. What the workspace declares under the same name counts: another version, or a mirror.
pub(crate) fn add(
    eval: &mut Eval<'_, '_>,
    nodes: Vec<Reader<'_>>,
    (folder, sources): (&Utf8Path, &dyn Sources),
    artifacts: &mut Declared<ArtifactSpec>,
) {
    for reader in nodes {
        if let Some((name, at, spec)) = named(eval, reader, Files { folder, sources })
            && !artifacts.has(name.as_str())
        {
            artifacts.declare(eval.cx, name, at, spec);
        }
    }
}

/// Where files are that artifacts name.
#[derive(Clone, Copy)]
struct Files<'a> {
    /// The folder that paths are relative to, itself relative to the workspace file's.
    folder: &'a Utf8Path,
    sources: &'a dyn Sources,
}

fn named(
    eval: &mut Eval<'_, '_>,
    mut reader: Reader<'_>,
    files: Files<'_>,
) -> Option<(Name, At, Option<ArtifactSpec>)> {
    let name = reader.arg(eval.cx, "a name");
    let name = name.and_then(|value| Some((eval.name(value, "artifact")?, value.at)));
    let spec = artifact(eval, reader, name.as_ref().map(|(name, _)| name), files);
    name.map(|(name, at)| (name, at, spec))
}

fn artifact(
    eval: &mut Eval<'_, '_>,
    mut reader: Reader<'_>,
    name: Option<&Name>,
    files: Files<'_>,
) -> Option<ArtifactSpec> {
    let at = reader.at();
    let place = reader.name_at();
    let source_node = reader.block.one(eval.cx, "source");
    let sha256_node = reader.block.one(eval.cx, "sha256");
    for (missing, node, help) in [
        (source_node.is_none(), "source", FORMS),
        (sha256_node.is_none(), "sha256", "download the file once and write what `sha256sum` prints"),
    ] {
        if missing {
            eval.cx.report(
                Draft::new(place, format!("an artifact needs a `{node}`"))
                    .label(format!("no `{node}` in here"))
                    .help(help),
            );
        }
    }
    reader.finish(eval.cx);

    let mut version = None;
    let source = source_node.and_then(|mut node| {
        let value = node.arg(eval.cx, "an address");
        let given = node.prop("version");
        version = given.and_then(|value| eval.closed_text(value, "version"));
        node.finish(eval.cx);
        let value = value?;
        let source = source(eval, value, files)?;
        if given.is_none() && matches!(source, ArtifactSource::Pypi(_) | ArtifactSource::Maven { .. }) {
            eval.wrong(value.at, "this source has many versions", "name one: `source \"…\" version=\"1.2.3\"`");
        }
        Some(source)
    });
    let sha256 = eval.only_value(sha256_node, "a checksum", |eval, value| {
        let text = eval.string(value, "sha256")?;
        let digest = Digest::from_hex(&text);
        if digest.is_none() {
            let count = text.chars().count();
            eval.wrong(
                value.at,
                format!("a sha256 has 64 hexadecimal digits, this text has {count} characters"),
                "write what `sha256sum` prints",
            );
        }
        digest
    });
    Some(ArtifactSpec { name: name?.clone(), source: source?, version, sha256: sha256?, origin: eval.cx.origin(at) })
}

fn source(eval: &mut Eval<'_, '_>, value: Value<'_>, files: Files<'_>) -> Option<ArtifactSource> {
    let text = eval.word(value, "source")?;
    if text.starts_with("https://") || text.starts_with("http://") {
        return Some(ArtifactSource::Url(text));
    }
    let source = match text.split_once(':') {
        Some(("pypi", project)) if is_identifier(project) => Some(ArtifactSource::Pypi(project.to_owned())),
        Some(("maven", rest)) => maven(rest),
        Some((kind @ ("file" | "list"), path)) if !path.is_empty() => {
            let of = if files.folder.as_str().is_empty() { "workspace file" } else { "recipe's folder" };
            let path =
                if files.folder.as_str().is_empty() { Utf8PathBuf::from(path) } else { tidy(&files.folder.join(path)) };
            if files.sources.kind(&path) != Some(SourceKind::File) {
                eval.wrong(value.at, format!("there is no file {path}"), format!("the path is relative to the {of}"));
            }
            let path = path.into_string();
            Some(if kind == "list" { ArtifactSource::List(path) } else { ArtifactSource::File(path) })
        }
        _ => None,
    };
    if source.is_none() {
        eval.wrong(value.at, format!("{text:?} is not a source"), FORMS);
    }
    source
}

/// `group:artifact`, with `:classifier` where there is one.
fn maven(text: &str) -> Option<ArtifactSource> {
    let parts: Vec<&str> = text.split(':').collect();
    let (group, artifact, classifier) = match parts.as_slice() {
        [group, artifact] => (group, artifact, None),
        [group, artifact, classifier] => (group, artifact, Some((*classifier).to_owned())),
        _ => return None,
    };
    parts.iter().all(|part| is_identifier(part)).then(|| ArtifactSource::Maven {
        group: (*group).to_owned(),
        artifact: (*artifact).to_owned(),
        classifier,
    })
}

/// What becomes a piece of an address.
fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}
