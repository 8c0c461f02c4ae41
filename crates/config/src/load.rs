//! The way in: a path or a text becomes a workspace.

use crate::{
    Disk, Mistakes, Sources,
    context::{Context, Draft},
    decode,
    syntax::{self, guard},
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{Name, Origin, Workspace};
use std::{collections::BTreeMap, fmt};

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Values of variables (`--var name=value`); of two with one name the last counts.
    pub variables: Vec<(String, String)>,
    /// Numbers of machines of counted groups, by topology and group (`rig scale`).
    pub counts: BTreeMap<(Name, Name), u32>,
}

/// A workspace and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The workspace.
    pub workspace: Workspace,
    /// Its variables in the file's order.
    pub variables: Vec<VariableInfo>,
    /// The folder of the file: absolute when the file was named by an absolute path, `.` when it was named without one.
    pub folder: Utf8PathBuf,
    /// All files that were read, the workspace file first.
    pub files: Vec<Utf8PathBuf>,
}

/// A variable of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct VariableInfo {
    /// Its name.
    pub name: Name,
    /// The type that its default has or its declaration names.
    #[serde(rename = "type")]
    pub kind: VariableType,
    /// The value that counts.
    pub value: String,
    /// The value without the command line.
    pub default: Option<String>,
    /// Where it was declared.
    pub origin: Origin,
}

/// The type of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// `#true` or `#false`.
    Boolean,
}

impl fmt::Display for VariableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
        })
    }
}

/// Reads a workspace file and everything that it includes.
///
/// # Errors
/// All mistakes of the file at once, or the one that kept it from being read.
pub fn load(path: &Utf8Path, overrides: &Overrides) -> Result<Loaded, Mistakes> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    };
    let disk = Disk::new(folder);
    let file = Utf8Path::new(path.file_name().unwrap_or(""));
    let mut cx = Context::default();
    let bytes = match disk.read(file, guard::MOST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => {
            let help = if error.kind() == std::io::ErrorKind::NotFound {
                "create one with `rig init`, or name it with `--workspace PATH`"
            } else {
                "check the path and its permissions"
            };
            cx.report(Draft::nowhere(format!("cannot read the workspace file {path}: {error}")).help(help));
            return Err(cx.into_mistakes(path.as_str()));
        }
    };
    match guard::text(&mut cx, path.as_str(), file, bytes) {
        Some(number) => read(cx, number, path.as_str(), folder, overrides, &disk),
        None => Err(cx.into_mistakes(path.as_str())),
    }
}

/// Reads a workspace from a text; `name` stands for the file in messages, included files come from `sources`.
///
/// # Errors
/// All mistakes of the text at once.
pub fn parse(name: &str, text: &str, overrides: &Overrides, sources: &dyn Sources) -> Result<Loaded, Mistakes> {
    let mut cx = Context::default();
    let file = Utf8Path::new(Utf8Path::new(name).file_name().unwrap_or(name));
    let folder = Utf8Path::new(name).parent().unwrap_or(Utf8Path::new(""));
    match guard::text(&mut cx, name, file, text.as_bytes().to_vec()) {
        Some(number) => read(cx, number, name, folder, overrides, sources),
        None => Err(cx.into_mistakes(name)),
    }
}

fn read(
    mut cx: Context,
    number: usize,
    name: &str,
    folder: &Utf8Path,
    overrides: &Overrides,
    sources: &dyn Sources,
) -> Result<Loaded, Mistakes> {
    let nodes = syntax::read_all(&mut cx, number, folder, sources);
    // What a broken statement declares is missing: everything that refers to it would look like a mistake as well.
    if cx.has_mistakes() {
        return Err(cx.into_mistakes(name));
    }
    let decoded = decode::workspace(&mut cx, &nodes, overrides, folder, sources);
    match decoded {
        Some((workspace, variables)) if !cx.has_mistakes() => {
            let files = cx.files.iter().map(|file| folder.join(&file.path)).collect();
            Ok(Loaded { workspace, variables, folder: folder.to_owned(), files })
        }
        _ => Err(cx.into_mistakes(name)),
    }
}
