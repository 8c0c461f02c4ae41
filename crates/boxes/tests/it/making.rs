//! What an engine is asked for when a box is made.

use crate::support::{Call, Engine, box_spec, build, context, host, name, temporary, unpack};
use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use rig_boxes::{BoxError, BoxPlan, MakeBox, make_box};
use rig_model::{BoxSource, Digest, HostTrust, Name};

struct Making {
    folder: Utf8PathBuf,
    source: BoxSource,
    others: Vec<BoxSource>,
    trust: HostTrust,
    artifacts: IndexMap<Name, Utf8PathBuf>,
    parent_image: Option<&'static str>,
}

impl Making {
    fn new(folder: &Utf8Path, source: BoxSource) -> Self {
        let trust = HostTrust {
            certificates: vec!["PEM 1".to_owned(), "PEM 2".to_owned()],
            proxies: vec![("http_proxy".to_owned(), "http://p".to_owned())],
        };
        Self {
            folder: folder.to_owned(),
            source,
            others: Vec::new(),
            trust,
            artifacts: IndexMap::new(),
            parent_image: None,
        }
    }

    async fn run(&self, engine: &Engine) -> Result<(), BoxError> {
        let spec = box_spec("thing", [vec![self.source.clone()], self.others.clone()].concat());
        let parent = match &self.source {
            BoxSource::Build(build) => build.from.clone(),
            _ => None,
        };
        let plan = BoxPlan {
            digest: Digest::of(b"plan"),
            source: self.source.clone(),
            parent,
            stored: None,
            trusted: true,
            existing: None,
        };
        let request = MakeBox {
            spec: &spec,
            plan: &plan,
            parent_image: self.parent_image,
            artifacts: &self.artifacts,
            cloud_image: None,
            folder: &self.folder,
            trust: &self.trust,
            host: &host(None),
            no_cache: true,
        };
        make_box(engine, &request, &context().0).await
    }
}

/// A box folder with a program, a link and something that stays out.
fn box_folder(folder: &Utf8Path) {
    for (path, text) in
        [("Dockerfile", "FROM x"), ("bin/run", "#!"), ("notes.md", "no"), (".dockerignore", "*.md\nartifacts\n")]
    {
        let path = folder.join("box").join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(folder.join("box/bin/run"), std::fs::Permissions::from_mode(0o777)).unwrap();
        fs_err::os::unix::fs::symlink("/etc/passwd", folder.join("box/link")).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_build_gets_its_folder_its_artifacts_and_its_arguments() {
    let (_guard, folder) = temporary();
    box_folder(&folder);
    fs_err::write(folder.join("cached"), "artifact").unwrap();
    let mut source = build("box", Some("parent"));
    source.args.insert("VERSION".to_owned(), "3".to_owned());
    let mut making = Making::new(&folder, BoxSource::Build(source));
    making.artifacts.insert(name("spark"), folder.join("cached"));
    making.parent_image = Some("rig/parent:1");
    let engine = Engine::default();
    making.run(&engine).await.unwrap();
    making.run(&engine).await.unwrap();
    let [Call::Build(tag, first, args, true), Call::Build(_, second, ..)] = &engine.calls()[..] else {
        panic!("not two builds")
    };
    assert!(first == second, "equal content gives equal archives");
    assert_eq!(tag.image, format!("rig/thing:{}", Digest::of(b"plan").short()));
    assert_eq!(tag.parent, Some(name("parent")));
    let args: Vec<_> = args.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(args, ["RIG_FROM=rig/parent:1", "VERSION=3", "http_proxy=http://p", "HTTP_PROXY=http://p"]);
    let files: Vec<_> =
        unpack(first).into_iter().map(|(path, (mode, text))| format!("{path} {mode:o} {text}")).collect();
    assert_eq!(
        files,
        [
            "Dockerfile 644 FROM x",
            "artifacts/spark 644 artifact",
            "bin 755 ",
            "bin/run 755 #!",
            "link 777 -> /etc/passwd"
        ]
    );
}

#[tokio::test]
async fn a_build_without_a_parent_gets_the_certificates_on_top() {
    let (_guard, folder) = temporary();
    box_folder(&folder);
    let engine = Engine::default();
    let mut making = Making::new(&folder, BoxSource::Build(build("box", None)));
    making.run(&engine).await.unwrap();
    let [Call::Build(below, ..), Call::Build(tag, context, args, _), Call::Remove(removed)] = &engine.calls()[..]
    else {
        panic!("{:?}", engine.calls())
    };
    assert_eq!(tag.digest, Digest::of(b"plan"));
    assert_ne!(below.image, tag.image);
    assert_eq!((&args[0].1, removed), (&below.image, &below.image));
    let files = unpack(context);
    assert_eq!(files["certificates/rig-host-2.crt"].1, "PEM 2");
    assert!(files["Dockerfile"].1.contains("update-ca-certificates"));

    making.trust = HostTrust::default();
    let engine = Engine::default();
    making.run(&engine).await.unwrap();
    assert!(matches!(&engine.calls()[..], [Call::Build(..)]));
}

#[tokio::test]
async fn an_image_is_pulled_and_labelled() {
    let (_guard, folder) = temporary();
    let engine = Engine::default();
    let mut making = Making::new(&folder, BoxSource::Image("debian:bookworm".to_owned()));
    making.trust = HostTrust::default();
    making.run(&engine).await.unwrap();
    let [Call::Pull(reference), Call::Build(tag, context, args, _)] = &engine.calls()[..] else {
        panic!("{:?}", engine.calls())
    };
    assert_eq!((reference.as_str(), args[0].1.as_str()), ("debian:bookworm", "debian:bookworm"));
    assert_eq!(tag.digest, Digest::of(b"plan"));
    assert_eq!(unpack(context)["Dockerfile"].1, "ARG RIG_FROM\nFROM ${RIG_FROM}\n");
}

#[tokio::test]
async fn a_registry_that_cannot_be_reached_is_an_error_that_names_the_other_sources() {
    let (_guard, folder) = temporary();
    let engine = Engine { offline: true, ..Engine::default() };
    let mut making = Making::new(&folder, BoxSource::Image("debian:bookworm".to_owned()));
    making.others = vec![BoxSource::Build(build("boxes/debian", None))];
    let error = making.run(&engine).await.unwrap_err();
    assert_eq!(error.to_string(), "pulling debian:bookworm for box thing: pulling: no route to the registry");
    assert!(error.hint().unwrap().ends_with("build \"boxes/debian\""), "{:?}", error.hint());
    assert!(matches!(&engine.calls()[..], [Call::Pull(_)]), "nothing else is tried");
}

#[tokio::test]
async fn a_build_without_its_parents_image_is_an_error() {
    let (_guard, folder) = temporary();
    box_folder(&folder);
    let making = Making::new(&folder, BoxSource::Build(build("box", Some("parent"))));
    assert!(matches!(making.run(&Engine::default()).await, Err(BoxError::Undeclared { .. })));
}

#[tokio::test]
async fn an_artifact_that_vanished_fails_the_build() {
    let (_guard, folder) = temporary();
    box_folder(&folder);
    let mut making = Making::new(&folder, BoxSource::Build(build("box", None)));
    making.trust = HostTrust::default();
    making.artifacts.insert(name("spark"), folder.join("absent"));
    let error = making.run(&Engine::default()).await.unwrap_err().to_string();
    assert!(error.contains("absent"), "{error}");
}
