//! The content hash of a box: the same hash means that nothing that makes the box has changed.

use crate::{
    BoxError, Result, bootstrap,
    folder::{self, Kind},
    hash::Running,
};
use camino::Utf8Path;
use rig_model::{ArtifactSpec, Bootstrap, BoxBuild, BoxName, BoxSource, Digest, Hasher, Name};

/// Changes when the same input makes another box.
const FORMAT: &str = "rig.box/1";

/// What a source is hashed with.
pub(crate) struct Surroundings<'a> {
    /// The box.
    pub(crate) name: &'a BoxName,
    /// The folder of the workspace file.
    pub(crate) workspace: &'a Utf8Path,
    /// What the box is made for (`linux/amd64`).
    pub(crate) platform: &'a str,
    /// Host certificates that the box gets. Proxies are not part of it: they say how something is fetched, not what.
    pub(crate) certificates: &'a [String],
    /// Looks an artifact up.
    pub(crate) artifact: &'a dyn Fn(&Name) -> Option<&'a ArtifactSpec>,
    /// The hash of the parent, when there is one.
    pub(crate) parent: Option<&'a Digest>,
    /// The hash of the stored box that is meant, for a source that is one.
    pub(crate) stored: Option<&'a Digest>,
}

/// The hash of a box made from this source.
///
/// # Errors
/// When the box folder cannot be read or an artifact is not declared.
pub(crate) fn of(source: &BoxSource, around: &Surroundings<'_>) -> Result<Digest> {
    let mut hasher = Hasher::new(FORMAT);
    hasher.part(around.platform);
    match source {
        BoxSource::Build(build) => add_build(&mut hasher, build, around)?,
        BoxSource::Bootstrap(bootstrap) => add_bootstrap(&mut hasher, bootstrap),
        BoxSource::Image(reference) => {
            hasher.part("image").part(reference);
        }
        BoxSource::CloudImage(name) => {
            let artifact = declared(around, name)?;
            hasher.part("cloud-image").part(artifact.sha256.as_str());
        }
        BoxSource::Stored(_) => {
            let stored = around
                .stored
                .ok_or_else(|| BoxError::Undeclared { name: around.name.clone(), what: "a stored box".to_owned() })?;
            hasher.part("stored").part(stored.as_str());
        }
    }
    match around.parent {
        Some(parent) => {
            hasher.part("parent").part(parent.as_str());
        }
        // Nothing in it reads them.
        None if is_tiny(source) => {}
        // A child has them from its parent, whose hash holds them.
        None => {
            hasher.part("certificates");
            for certificate in around.certificates {
                hasher.part(certificate);
            }
        }
    }
    Ok(hasher.finish())
}

fn declared<'a>(around: &Surroundings<'a>, name: &Name) -> Result<&'a ArtifactSpec> {
    let missing = || BoxError::Undeclared { name: around.name.clone(), what: format!("artifact {name}") };
    (around.artifact)(name).ok_or_else(missing)
}

fn is_tiny(source: &BoxSource) -> bool {
    matches!(source, BoxSource::Bootstrap(bootstrap) if !bootstrap.kind.has_packages())
}

fn add_bootstrap(hasher: &mut Hasher, bootstrap: &Bootstrap) {
    // A set: neither order nor repetition reaches the package manager.
    let mut packages: Vec<&str> = bootstrap.packages.iter().map(String::as_str).collect();
    packages.sort_unstable();
    packages.dedup();
    hasher.part("bootstrap").part(bootstrap.suite.as_str());
    hasher.part(bootstrap.mirror.as_deref().unwrap_or_default());
    hasher.part((packages.len() as u64).to_le_bytes());
    for package in packages {
        hasher.part(package);
    }
    for part in bootstrap::written(bootstrap.kind) {
        hasher.part(part);
    }
}

fn add_build(hasher: &mut Hasher, build: &BoxBuild, around: &Surroundings<'_>) -> Result<()> {
    hasher.part("build");
    let mut args: Vec<_> = build.args.iter().collect();
    args.sort();
    hasher.part((args.len() as u64).to_le_bytes());
    for (name, value) in args {
        hasher.part(name).part(value);
    }
    let mut artifacts: Vec<&Name> = build.artifacts.iter().collect();
    artifacts.sort();
    artifacts.dedup();
    hasher.part((artifacts.len() as u64).to_le_bytes());
    for name in artifacts {
        let artifact = declared(around, name)?;
        hasher.part(name.as_str()).part(artifact.sha256.as_str());
    }
    add_folder(hasher, &around.workspace.join(&build.folder), !build.artifacts.is_empty())
}

fn add_folder(hasher: &mut Hasher, folder: &Utf8Path, has_artifacts: bool) -> Result<()> {
    for entry in folder::entries(folder, has_artifacts)? {
        hasher.part(&entry.path);
        match entry.kind {
            Kind::Folder => hasher.part("folder"),
            Kind::Link(target) => hasher.part("link").part(target),
            Kind::File { executable, .. } => {
                let mut content = Running::default();
                fs_err::File::open(folder.join(&entry.path))
                    .and_then(|file| content.read(file))
                    .map_err(BoxError::file(format!("hashing the box folder {folder}")))?;
                hasher.part(if executable { "program" } else { "file" }).part(content.finish().as_str())
            }
        };
    }
    Ok(())
}
