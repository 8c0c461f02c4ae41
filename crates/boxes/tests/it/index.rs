//! Packages found through an index, in both of its forms.

use crate::support::{artifact, context, settings, temporary};
use camino::Utf8PathBuf;
use rig_boxes::{ArtifactStore, BoxError, FetchSettings};
use rig_model::{ArtifactSource, ArtifactSpec, Digest};
use rig_state::CacheLayout;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header_regex, method, path},
};

const CONTENT: &[u8] = b"the source package";

fn spec(version: &str) -> ArtifactSpec {
    ArtifactSpec { version: Some(version.to_owned()), ..artifact(ArtifactSource::Pypi("Py_Spark".to_owned()), CONTENT) }
}

async fn serve(page: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/simple/py-spark/"))
        .and(header_regex("accept", "vnd.pypi.simple.v1\\+json.*text/html"))
        .respond_with(page)
        .mount(&server)
        .await;
    let file = ResponseTemplate::new(200).set_body_bytes(CONTENT);
    Mock::given(path("/files/py_spark-1.0.tar.gz")).respond_with(file).mount(&server).await;
    server
}

async fn fetch(server: &MockServer, spec: &ArtifactSpec) -> Result<Utf8PathBuf, BoxError> {
    let (_guard, folder) = temporary();
    let settings = FetchSettings { pypi_index: format!("{}/simple", server.uri()), ..settings() };
    let store = ArtifactStore::new(CacheLayout::new(folder.clone()), settings);
    let path = store.fetch(spec, &folder, &context().0).await?;
    assert_eq!(fs_err::read(&path).unwrap(), CONTENT);
    Ok(path)
}

fn html(sha256: &Digest) -> ResponseTemplate {
    let body = format!(
        "<html><body><a href=\"/files/py_spark-0.9.tar.gz\">py_spark-0.9.tar.gz</a>\n<a href=\"../../files/py_spark-1.0.tar.gz#sha256={sha256}\">py_spark-1.0.tar.gz</a></body></html>"
    );
    ResponseTemplate::new(200).set_body_raw(body, "text/html")
}

fn json(kind: &str) -> ResponseTemplate {
    let body = format!(
        r#"{{"files": [{{"filename": "py_spark-1.0.tar.gz", "url": "/files/py_spark-1.0.tar.gz", "hashes": {{"sha256": "{}"}}}}]}}"#,
        Digest::of(CONTENT)
    );
    ResponseTemplate::new(200).set_body_raw(body, kind)
}

#[tokio::test]
async fn both_forms_are_read_whatever_they_are_labelled() {
    for page in [html(&Digest::of(CONTENT)), json("application/vnd.pypi.simple.v1+json"), json("text/html")] {
        fetch(&serve(page).await, &spec("1.0")).await.unwrap();
    }
}

#[tokio::test]
async fn another_checksum_in_the_index_is_told_before_the_download() {
    let server = serve(html(&Digest::of(b"other"))).await;
    let error = fetch(&server, &spec("1.0")).await.unwrap_err();
    let BoxError::Checksum { actual, .. } = &error else { panic!("{error}") };
    assert_eq!(*actual, Digest::of(b"other"));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_version_that_is_not_there_names_those_that_are() {
    let error = fetch(&serve(html(&Digest::of(CONTENT))).await, &spec("2.0")).await.unwrap_err();
    assert!(error.to_string().contains("no source package of Py_Spark 2.0"), "{error}");
    assert!(error.hint().unwrap().contains("0.9, 1.0"), "{error}");
}

#[tokio::test]
async fn a_project_that_is_not_there_is_an_error() {
    let error = fetch(&serve(ResponseTemplate::new(404)).await, &spec("1.0")).await.unwrap_err();
    assert!(matches!(error, BoxError::Status { status: 404, .. }), "{error}");
    assert!(error.hint().unwrap().contains("source and version"));
}

#[tokio::test]
async fn an_index_that_hiccups_is_asked_again() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(502)).up_to_n_times(2).mount(&server).await;
    let error = fetch(&server, &spec("1.0")).await.unwrap_err();
    assert!(matches!(error, BoxError::Status { status: 404, .. }), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn broken_json_is_no_index() {
    let page = ResponseTemplate::new(200).set_body_raw("{\"files\": 1", "application/json");
    let error = fetch(&serve(page).await, &spec("1.0")).await.unwrap_err();
    assert!(error.to_string().contains("no package index"), "{error}");
}
