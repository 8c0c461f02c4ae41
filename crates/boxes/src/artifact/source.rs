//! From what the workspace file says to an address.

use super::{index, settings::FetchSettings};
use crate::{BoxError, Result};
use camino::{Utf8Path, Utf8PathBuf};
use reqwest::{Client, Url};
use rig_model::{ArtifactSource, ArtifactSpec};

/// Where a file really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a server.
    Remote(Url),
    /// On this host.
    Local(Utf8PathBuf),
    /// In many places, which this file of this host lists.
    List(Utf8PathBuf),
}

/// The name that an artifact's file has in the cache. The checksum tells files apart; this is for people.
#[must_use]
pub fn file_name(artifact: &ArtifactSpec) -> String {
    let version = artifact.version.as_deref().unwrap_or("unknown");
    let name = match &artifact.source {
        ArtifactSource::Pypi(project) => format!("{project}-{version}.tar.gz"),
        ArtifactSource::Maven { artifact, classifier, .. } => match classifier {
            Some(classifier) => format!("{artifact}-{version}-{classifier}.jar"),
            None => format!("{artifact}-{version}.jar"),
        },
        ArtifactSource::List(_) => format!("{}.tar", artifact.name),
        ArtifactSource::Url(url) => {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        }
        ArtifactSource::File(path) => path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
    };
    safe_name(&name).unwrap_or_else(|| artifact.name.to_string())
}

/// Servers' names become file names on every platform; some give none.
pub(super) fn safe_name(name: &str) -> Option<String> {
    let safe: String = name
        .chars()
        .take(120)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+') { c } else { '_' })
        .collect();
    (!safe.trim_matches('.').is_empty()).then_some(safe)
}

/// Finds the file. Asks the package index where the source is one, and compares its checksum before anything is
/// downloaded.
///
/// # Errors
/// When the source is incomplete, the index does not answer or does not have the file, or has another checksum.
pub(super) async fn locate(
    artifact: &ArtifactSpec,
    settings: &FetchSettings,
    client: &Client,
    workspace: &Utf8Path,
) -> Result<Place> {
    match &artifact.source {
        ArtifactSource::File(path) => Ok(Place::Local(workspace.join(path))),
        ArtifactSource::Url(url) => Ok(Place::Remote(parse(artifact, url)?)),
        ArtifactSource::List(path) => Ok(Place::List(workspace.join(path))),
        ArtifactSource::Maven { group, artifact: name, .. } => {
            let version = version(artifact)?;
            let repository = settings.maven_repository.trim_end_matches('/');
            let (group, file) = (group.replace('.', "/"), file_name(artifact));
            Ok(Place::Remote(parse(artifact, &format!("{repository}/{group}/{name}/{version}/{file}"))?))
        }
        ArtifactSource::Pypi(project) => {
            let version = version(artifact)?;
            let repository = settings.pypi_index.trim_end_matches('/');
            let page = parse(artifact, &format!("{repository}/{}/", index::normalize(project)))?;
            let files = index::read(client, &page, project, settings.retry).await?;
            let file = index::source_package(&files, project, version).ok_or_else(|| BoxError::Artifact {
                name: artifact.name.clone(),
                why: format!("{page} has no source package of {project} {version}"),
                hint: match index::newest(&files, project).as_slice() {
                    [] => "check the project's name; the project may have no source packages".to_owned(),
                    versions => format!("check the version; the last that the index lists are {}", versions.join(", ")),
                },
            })?;
            match &file.sha256 {
                Some(actual) if *actual != artifact.sha256 => Err(BoxError::Checksum {
                    what: format!("artifact {}", artifact.name),
                    origin: format!("the index {page}"),
                    expected: artifact.sha256.clone(),
                    actual: actual.clone(),
                }),
                _ => Ok(Place::Remote(file.url.clone())),
            }
        }
    }
}

fn version(artifact: &ArtifactSpec) -> Result<&str> {
    artifact.version.as_deref().ok_or_else(|| BoxError::Artifact {
        name: artifact.name.clone(),
        why: "its source needs a version".to_owned(),
        hint: "add `version=\"…\"` to the source".to_owned(),
    })
}

fn parse(artifact: &ArtifactSpec, url: &str) -> Result<Url> {
    let refuse = |why: String| BoxError::Artifact {
        name: artifact.name.clone(),
        why,
        hint: "an address begins with https:// or http://".to_owned(),
    };
    let parsed = Url::parse(url).map_err(|error| refuse(format!("{url:?} is no address: {error}")))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        other => Err(refuse(format!("{url:?} has the scheme {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::client, *};
    use rig_model::{Digest, Name, Origin};

    fn artifact(source: ArtifactSource) -> ArtifactSpec {
        ArtifactSpec {
            name: Name::new("thing").unwrap(),
            source,
            version: Some("1.0".to_owned()),
            sha256: Digest::of(b""),
            origin: Origin::default(),
        }
    }

    #[test]
    fn file_names_are_safe_everywhere() {
        let name = |source| file_name(&artifact(source));
        assert_eq!(name(ArtifactSource::Pypi("pyspark".to_owned())), "pyspark-1.0.tar.gz");
        let maven = ArtifactSource::Maven { group: "a.b".to_owned(), artifact: "c".to_owned(), classifier: None };
        assert_eq!(name(maven), "c-1.0.jar");
        assert_eq!(name(ArtifactSource::Url("https://x/a/b.tgz?c=d/e#f".to_owned())), "b.tgz");
        assert_eq!(name(ArtifactSource::Url("https://x/".to_owned())), "thing");
        assert_eq!(name(ArtifactSource::File("..".to_owned())), "thing");
        assert_eq!(name(ArtifactSource::File("a\\b:c".to_owned())), "b_c");
    }

    #[tokio::test]
    async fn a_maven_coordinate_is_a_path() {
        let source = ArtifactSource::Maven {
            group: "org.apache.cassandra".to_owned(),
            artifact: "cassandra-all".to_owned(),
            classifier: None,
        };
        let settings =
            FetchSettings { maven_repository: "https://repo.example/m2/".to_owned(), ..FetchSettings::default() };
        let client = client::build(&settings).unwrap();
        let place = locate(&artifact(source), &settings, &client, Utf8Path::new("/w")).await.unwrap();
        let url = "https://repo.example/m2/org/apache/cassandra/cassandra-all/1.0/cassandra-all-1.0.jar";
        assert_eq!(place, Place::Remote(Url::parse(url).unwrap()));
    }

    #[tokio::test]
    async fn only_web_addresses_are_downloaded() {
        let settings = FetchSettings::default();
        let client = client::build(&settings).unwrap();
        for bad in ["ftp://x/y", "file:///etc/passwd", "no address"] {
            let error =
                locate(&artifact(ArtifactSource::Url(bad.to_owned())), &settings, &client, Utf8Path::new("/w")).await;
            assert!(matches!(error, Err(BoxError::Artifact { .. })), "{bad}");
        }
    }
}
