//! `rig init`

use crate::{
    app::{App, FILE},
    cli::{Init, Template},
    failure::Failure,
};
use camino::{Utf8Path, Utf8PathBuf};
use include_dir::{Dir, include_dir};
use rig_model::Name;
use rig_state::{Access, write_atomically};

/// The files of this very project: what `rig init` writes is what its own tests run.
const SPARK: &str = include_str!("../../workspace.kdl");
const EMPTY: &str = include_str!("../templates/empty.kdl");
static BOXES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/boxes");
static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/recipes");
static JOBS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/jobs");

/// How many files are named that are in the way.
const NAMED: usize = 5;

/// Writes a workspace file, and the folders that it names.
pub(crate) fn run(app: &App, arguments: &Init) -> Result<(), Failure> {
    // As everywhere, `-w` names the file or its folder.
    let (folder, file) = match &app.global.workspace {
        Some(path) if path.extension() == Some("kdl") => {
            let path = app.settings.folder.join(path);
            let file = path.file_name().unwrap_or(FILE).to_owned();
            (path.parent().map_or_else(|| app.settings.folder.clone(), Utf8Path::to_owned), file)
        }
        Some(path) => (app.settings.folder.join(path), FILE.to_owned()),
        None => (app.settings.folder.clone(), FILE.to_owned()),
    };
    let name = match &arguments.name {
        Some(name) => Name::new(name.as_str()).map_err(|error| Failure::usage(format!("--name {name:?}: {error}")))?,
        None => name_of(&folder).ok_or_else(|| Failure::Usage {
            message: format!("the name of the folder {folder} makes no name for a workspace"),
            hint: Some("give it one, which no other workspace of the engine has: `--name NAME`".to_owned()),
        })?,
    };
    let mut files: Vec<(Utf8PathBuf, Vec<u8>)> = Vec::new();
    let text = match arguments.template {
        Template::Spark => {
            collect(&BOXES, Utf8Path::new("boxes"), &mut files);
            collect(&RECIPES, Utf8Path::new("recipes"), &mut files);
            collect(&JOBS, Utf8Path::new("jobs"), &mut files);
            SPARK.replacen("workspace \"spark-cassandra\"", &format!("workspace \"{name}\""), 1)
        }
        Template::Empty => EMPTY.replacen("workspace \"empty\"", &format!("workspace \"{name}\""), 1),
    };
    files.push((Utf8PathBuf::from(file), text.into_bytes()));
    let there: Vec<&str> = files
        .iter()
        .map(|(path, _)| path)
        .filter(|path| folder.join(path).exists())
        .map(|path| path.as_str())
        .collect();
    if !there.is_empty() && !arguments.force {
        let more = there.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Err(Failure::Usage {
            message: format!("{folder} has these files already: {}{more}", there[..there.len().min(NAMED)].join(", ")),
            hint: Some("`--force` overwrites them; `-w FOLDER` writes elsewhere".to_owned()),
        });
    }
    for (path, content) in &files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(|error| Failure::host(error.to_string()))?;
        }
        write_atomically(&path, content, Access::Default)?;
        #[cfg(unix)]
        if content.starts_with(b"#!") {
            use std::os::unix::fs::PermissionsExt;
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .map_err(|error| Failure::host(error.to_string()))?;
        }
    }
    let files = if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
    app.ui.result(format!("wrote {files} to {folder}"));
    app.ui.say(format!("the workspace is called {name}: on one engine, machines of that name are its own"));
    let place = app.global.workspace.as_ref().map(|path| format!(" -w {path}")).unwrap_or_default();
    app.ui.say(format!(
        "next: `rig doctor{place}` checks this host, `rig plan{place}` shows what would be done, `rig up{place}` does it"
    ));
    Ok(())
}

fn collect(dir: &Dir<'_>, below: &Utf8Path, files: &mut Vec<(Utf8PathBuf, Vec<u8>)>) {
    for file in dir.files() {
        // The names are this project's own, and ASCII.
        if let Some(path) = Utf8Path::from_path(file.path()) {
            files.push((below.join(path), file.contents().to_vec()));
        }
    }
    for dir in dir.dirs() {
        collect(dir, below, files);
    }
}

/// The folder's name as far as it makes a name.
fn name_of(folder: &Utf8Path) -> Option<Name> {
    let text: String = folder
        .file_name()
        .unwrap_or_default()
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let text = text.trim_matches('-').trim_start_matches(|c: char| !c.is_ascii_lowercase());
    Name::new(text.chars().take(40).collect::<String>().trim_end_matches('-')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_names() {
        let name = |folder: &str| name_of(Utf8Path::new(folder)).map(|name| name.to_string());
        assert_eq!(name("/x/My Cluster 2").as_deref(), Some("my-cluster-2"));
        assert_eq!(name("/x/2024-spark").as_deref(), Some("spark"));
        assert_eq!(name("/"), None);
        assert_eq!(name("/x/123"), None);
    }

    #[test]
    fn templates_can_be_renamed() {
        assert!(SPARK.contains("workspace \"spark-cassandra\""));
        assert!(EMPTY.contains("workspace \"empty\""));
    }
}
