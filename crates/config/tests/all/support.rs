//! Files in memory, and short ways to parse.

use camino::{Utf8Path, Utf8PathBuf};
use rig_config::{Loaded, MistakeInfo, Mistakes, Overrides, SourceKind, Sources, parse};
use rig_model::{MachineSpec, Workspace};
use std::collections::HashMap;

/// Files by path; every folder above one exists.
#[derive(Default)]
pub(crate) struct Memory(HashMap<Utf8PathBuf, Vec<u8>>);

impl Memory {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect())
    }

    pub(crate) fn add(&mut self, path: &str, bytes: &[u8]) {
        self.0.insert(path.into(), bytes.to_vec());
    }
}

impl Sources for Memory {
    fn read(&self, path: &Utf8Path, limit: u64) -> std::io::Result<Vec<u8>> {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, format!("no file {path}"));
        let bytes = self.0.get(path).ok_or_else(missing)?;
        Ok(bytes[..bytes.len().min(usize::try_from(limit + 1).unwrap())].to_vec())
    }

    fn kind(&self, path: &Utf8Path) -> Option<SourceKind> {
        let path: Utf8PathBuf = path.components().filter(|part| part.as_str() != ".").collect();
        if self.0.contains_key(&path) {
            return Some(SourceKind::File);
        }
        self.0.keys().any(|file| file.starts_with(&path)).then_some(SourceKind::Folder)
    }
}

/// Folders that the examples of tests and documentation name.
pub(crate) fn folders() -> Memory {
    Memory::with(&[
        ("boxes/base/Dockerfile", ""),
        ("boxes/jvm/Dockerfile", ""),
        ("boxes/spark/Dockerfile", ""),
        ("boxes/cassandra/Dockerfile", ""),
        ("jobs/pi.py", ""),
        ("data/file.txt", ""),
        ("dist/tool.tar.gz", ""),
    ])
}

pub(crate) fn try_load(text: &str) -> Result<Loaded, Mistakes> {
    parse("workspace.kdl", text, &Overrides::default(), &folders())
}

/// A workspace of a text that is right.
pub(crate) fn workspace(text: &str) -> Workspace {
    match try_load(text) {
        Ok(loaded) => loaded.workspace,
        Err(mistakes) => panic!("{}\n{text}", render(&mistakes)),
    }
}

/// What stands in a topology, with a box `base` and a network.
pub(crate) fn in_topology(body: &str) -> String {
    format!(
        "workspace \"test\"\nbox \"base\" {{ image \"debian\" }}\ntopology \"lab\" idiom=\"immutable\" {{\nnetwork \"net\" subnet=\"10.8.0.0/24\"\ndefaults {{ box \"base\" }}\n{body}\n}}\n"
    )
}

/// What stands in the block of a machine.
pub(crate) fn in_machine(body: &str) -> String {
    in_topology(&format!("machine \"db\" {{\n{body}\n}}"))
}

/// The only machine of a body that is right.
pub(crate) fn machine(body: &str) -> MachineSpec {
    workspace(&in_machine(body)).machines().next().unwrap().clone()
}

/// Messages and helps of a text that is wrong.
pub(crate) fn wrong(text: &str) -> Vec<String> {
    match try_load(text) {
        Ok(_) => panic!("expected mistakes in\n{text}"),
        Err(mistakes) => mistakes.iter().map(line).collect(),
    }
}

pub(crate) fn line(mistake: MistakeInfo<'_>) -> String {
    let place = mistake.line.zip(mistake.column).map(|(line, column)| format!("{line}:{column}: ")).unwrap_or_default();
    let help = mistake.help.map(|help| format!(" | {help}")).unwrap_or_default();
    format!("{place}{}{help}", mistake.message)
}

/// The report as a terminal without colours shows it.
pub(crate) fn render(mistakes: &Mistakes) -> String {
    let mut text = String::new();
    let theme = miette::GraphicalTheme::unicode_nocolor();
    miette::GraphicalReportHandler::new_themed(theme).with_width(120).render_report(&mut text, mistakes).unwrap();
    text
}
