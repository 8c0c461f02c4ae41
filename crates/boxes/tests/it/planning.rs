//! Which source a box comes from, and when its hash changes.

use crate::support::{artifact, bootstrap, box_spec, build, host, name, temporary, workspace};
use camino::{Utf8Path, Utf8PathBuf};
use rig_boxes::{BoxError, BoxHost, BoxPlans, PlanBoxes};
use rig_model::{ArtifactSource, BootstrapKind, BoxSource, Bytes, Digest, HostTrust, ObservedBox, Workspace};
use std::time::{Duration, Instant};

/// A root box, a box built on it and one built on that, the latter with an argument and an artifact.
struct Setting {
    _guard: tempfile::TempDir,
    folder: Utf8PathBuf,
    workspace: Workspace,
    trust: HostTrust,
    host: BoxHost,
    existing: Vec<ObservedBox>,
}

impl Setting {
    fn new() -> Self {
        let (guard, folder) = temporary();
        for path in ["jvm/Dockerfile", "spark/Dockerfile", "spark/bin/run"] {
            fs_err::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            fs_err::write(folder.join(path), path).unwrap();
        }
        let mut spark = build("spark", Some("jvm"));
        spark.args.insert("A".to_owned(), "1".to_owned());
        spark.artifacts.push(name("thing"));
        let boxes = vec![
            box_spec(
                "debian",
                vec![bootstrap("bookworm", &["b", "a"]), BoxSource::Image("debian:bookworm-slim".to_owned())],
            ),
            box_spec("jvm", vec![BoxSource::Build(build("jvm", Some("debian")))]),
            box_spec("spark", vec![BoxSource::Build(spark)]),
        ];
        let workspace = workspace(boxes, vec![artifact(ArtifactSource::File("x".to_owned()), b"artifact")]);
        let host = host(Some(Utf8Path::new("/usr/bin/mmdebstrap")));
        Self { _guard: guard, folder, workspace, trust: HostTrust::default(), host, existing: Vec::new() }
    }

    fn plans(&self) -> Result<BoxPlans, BoxError> {
        let Self { folder, workspace, trust, host, existing, .. } = self;
        BoxPlans::compute(
            PlanBoxes { workspace, folder, trust, host, existing, store: &rig_boxes::NoStore },
            workspace.boxes.keys(),
        )
    }

    fn digests(&self) -> [Digest; 3] {
        let plans = self.plans().unwrap();
        ["debian", "jvm", "spark"].map(|name| plans[name].digest.clone())
    }

    fn source(&mut self, name: &str) -> &mut BoxSource {
        &mut self.workspace.boxes[name].sources[0]
    }

    fn build(&mut self, name: &str) -> &mut rig_model::BoxBuild {
        let BoxSource::Build(build) = self.source(name) else { panic!("{name} is not built") };
        build
    }

    fn observe(&mut self, name: &str) {
        let plan = self.plans().unwrap()[name].clone();
        self.existing.push(ObservedBox {
            name: crate::support::name(name),
            provider: crate::support::name("docker"),
            digest: plan.digest,
            image: format!("there/{name}"),
            native: "sha256:0".to_owned(),
            parent: None,
            size: Bytes(1),
            created: None,
        });
    }

    /// Which of the three hashes a change changes.
    #[track_caller]
    fn changed(&mut self, change: impl FnOnce(&mut Self)) -> [bool; 3] {
        let before = self.digests();
        change(self);
        let after = self.digests();
        std::array::from_fn(|i| before[i] != after[i])
    }
}

const NOTHING: [bool; 3] = [false, false, false];
const EVERYTHING: [bool; 3] = [true, true, true];
const SPARK: [bool; 3] = [false, false, true];

#[test]
fn content_changes_the_hash_of_the_box_and_of_its_children() {
    let mut at = Setting::new();
    assert_eq!(at.changed(|at| fs_err::write(at.folder.join("spark/bin/run"), "other").unwrap()), SPARK);
    assert_eq!(at.changed(|at| fs_err::write(at.folder.join("spark/new"), "").unwrap()), SPARK);
    assert_eq!(
        at.changed(|at| fs_err::rename(at.folder.join("spark/new"), at.folder.join("spark/newer")).unwrap()),
        SPARK
    );
    assert_eq!(at.changed(|at| fs_err::create_dir(at.folder.join("spark/empty")).unwrap()), SPARK);
    assert_eq!(at.changed(|at| fs_err::write(at.folder.join("jvm/Dockerfile"), "other").unwrap()), [false, true, true]);
}

#[cfg(unix)]
#[test]
fn modes_and_links_count_and_times_do_not() {
    use std::os::unix::fs::PermissionsExt;
    let mut at = Setting::new();
    let mode = |at: &Setting, mode| {
        fs_err::set_permissions(at.folder.join("spark/bin/run"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(at.changed(|at| mode(at, 0o755)), SPARK);
    assert_eq!(at.changed(|at| mode(at, 0o700)), NOTHING);
    let link = at.folder.join("spark/link");
    assert_eq!(at.changed(|_| fs_err::os::unix::fs::symlink("a", &link).unwrap()), SPARK);
    let relink = |_: &mut Setting| {
        fs_err::remove_file(&link).unwrap();
        fs_err::os::unix::fs::symlink("b", &link).unwrap();
    };
    assert_eq!(at.changed(relink), SPARK);
    let later = std::time::SystemTime::now() + Duration::from_secs(100);
    let touch = |at: &mut Setting| {
        fs_err::OpenOptions::new()
            .write(true)
            .open(at.folder.join("spark/bin/run"))
            .unwrap()
            .set_modified(later)
            .unwrap();
    };
    assert_eq!(at.changed(touch), NOTHING);
}

#[test]
fn what_the_file_says_changes_the_hash() {
    let mut at = Setting::new();
    assert_eq!(at.changed(|at| drop(at.build("spark").args.insert("A".to_owned(), "2".to_owned()))), SPARK);
    assert_eq!(at.changed(|at| drop(at.build("spark").args.insert("B".to_owned(), "2".to_owned()))), SPARK);
    assert_eq!(at.changed(|at| at.workspace.artifacts["thing"].sha256 = Digest::of(b"other")), SPARK);
    assert_eq!(at.changed(|at| at.build("spark").artifacts.clear()), SPARK);
    assert_eq!(at.changed(|at| *at.source("debian") = bootstrap("bookworm", &["a"])), EVERYTHING);
    assert_eq!(at.changed(|at| *at.source("debian") = bootstrap("trixie", &["a"])), EVERYTHING);
    for kind in [BootstrapKind::Machine, BootstrapKind::TinyMachine, BootstrapKind::Container] {
        let other = |at: &mut Setting| {
            let BoxSource::Bootstrap(bootstrap) = at.source("debian") else { panic!("it comes from elsewhere") };
            bootstrap.kind = kind;
        };
        assert_eq!(at.changed(other), EVERYTHING, "{kind:?}");
    }
    assert_eq!(at.changed(|at| at.host.platform = "linux/arm64".to_owned()), EVERYTHING, "another source");
    assert_eq!(at.changed(|at| at.host.engine = "linux/arm64".to_owned()), EVERYTHING);
}

#[test]
fn what_does_not_matter_does_not_change_the_hash() {
    let mut at = Setting::new();
    assert_eq!(at.changed(|at| *at.source("debian") = bootstrap("bookworm", &["a", "b", "a"])), NOTHING);
    assert_eq!(
        at.changed(|at| at.workspace.artifacts["thing"].source = ArtifactSource::Url("https://x".to_owned())),
        NOTHING
    );
    assert_eq!(at.changed(|at| at.trust.proxies.push(("http_proxy".to_owned(), "http://p".to_owned()))), NOTHING);
    assert_eq!(at.changed(|at| at.host.mmdebstrap = Some("/opt/mmdebstrap".into())), NOTHING);
    fs_err::write(at.folder.join("spark/.dockerignore"), "*.md").unwrap();
    assert_eq!(at.changed(|at| fs_err::write(at.folder.join("spark/README.md"), "").unwrap()), NOTHING);
}

#[test]
fn the_hosts_certificates_change_the_root_that_gets_them() {
    let mut at = Setting::new();
    assert_eq!(at.changed(|at| at.trust.certificates.push("PEM".to_owned())), EVERYTHING);
    at.workspace.boxes["debian"].host_trust = false;
    assert_eq!(at.changed(|at| at.trust.certificates.clear()), NOTHING);
    at.workspace.boxes["debian"].host_trust = true;
    at.workspace.host_trust = false;
    assert_eq!(at.changed(|at| at.trust.certificates.push("PEM".to_owned())), NOTHING);
    assert!(!at.plans().unwrap()["debian"].trusted);
}

#[test]
fn the_first_source_that_can_be_used_is_used() {
    let mut at = Setting::new();
    assert!(matches!(at.plans().unwrap()["debian"].source, BoxSource::Bootstrap(_)));
    at.host.mmdebstrap = None;
    assert!(matches!(at.plans().unwrap()["debian"].source, BoxSource::Image(_)));
    assert_eq!(at.plans().unwrap()["jvm"].parent, Some(name("debian")));
}

#[test]
fn a_box_that_is_there_is_used_whichever_source_made_it() {
    let mut at = Setting::new();
    at.observe("debian");
    at.host.mmdebstrap = None;
    let plans = at.plans().unwrap();
    assert!(matches!(plans["debian"].source, BoxSource::Bootstrap(_)), "it needs no tool any more");
    assert_eq!(plans["debian"].existing.as_deref(), Some("there/debian"));

    let mut at = Setting::new();
    at.host.mmdebstrap = None;
    at.observe("debian");
    at.host.mmdebstrap = Some("/usr/bin/mmdebstrap".into());
    assert!(matches!(at.plans().unwrap()["debian"].source, BoxSource::Image(_)), "a preferred source replaces nothing");
}

#[test]
fn a_box_without_a_usable_source_says_why_for_each() {
    let mut at = Setting::new();
    at.host.mmdebstrap = None;
    at.workspace.boxes["debian"].sources.truncate(1);
    let BoxPlansError(message, hint) = error(&at);
    assert_eq!(
        message,
        "box debian cannot be made on this host: bootstrap \"bookworm\" needs mmdebstrap, which is not on the PATH"
    );
    assert!(hint.contains("rig doctor --fix"), "{hint}");
    // The same, seen from a child whose parent is asked for by nobody else.
    at.workspace.boxes.move_index(0, 2);
    let BoxPlansError(message, hint) = error(&at);
    assert!(
        message.starts_with("box jvm cannot be made on this host: build \"jvm\" needs box debian: bootstrap"),
        "{message}"
    );
    assert!(hint.contains("rig doctor --fix"), "{hint}");

    let mut at = Setting::new();
    at.host.platform = "darwin/arm64".to_owned();
    at.workspace.boxes["debian"].sources.truncate(1);
    let BoxPlansError(message, hint) = error(&at);
    assert!(message.ends_with("needs a Linux host, this one is darwin/arm64"), "{message}");
    assert!(hint.contains("another source"), "{hint}");
}

struct BoxPlansError(String, String);

#[track_caller]
fn error(at: &Setting) -> BoxPlansError {
    let error = at.plans().unwrap_err();
    BoxPlansError(error.to_string(), error.hint().unwrap())
}

#[test]
fn what_is_there_needs_no_parents() {
    let mut at = Setting::new();
    let all = |plans: &BoxPlans| plans.to_make([&name("spark")], false).into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(all(&at.plans().unwrap()), ["debian", "jvm", "spark"].map(name));
    at.observe("debian");
    assert_eq!(all(&at.plans().unwrap()), ["jvm", "spark"].map(name));
    at.observe("spark");
    assert!(all(&at.plans().unwrap()).is_empty());
    let plans = at.plans().unwrap();
    assert_eq!(plans.to_make([&name("spark")], true).len(), 3);
    assert_eq!(plans.to_make([&name("jvm")], false), [&name("jvm")]);
}

#[test]
fn a_missing_folder_and_an_undeclared_artifact_are_errors() {
    let mut at = Setting::new();
    at.build("spark").folder = "absent".to_owned();
    assert!(at.plans().unwrap_err().to_string().contains("reading the box folder"));
    let mut at = Setting::new();
    at.workspace.artifacts.clear();
    assert!(matches!(at.plans(), Err(BoxError::Undeclared { .. })));
    let mut at = Setting::new();
    at.build("jvm").from = Some(name("spark"));
    assert!(matches!(at.plans(), Err(BoxError::Cycle { .. })));
}

#[test]
fn twenty_small_files_take_milliseconds() {
    let at = Setting::new();
    for i in 0..20 {
        fs_err::write(at.folder.join(format!("spark/{i}")), vec![b'x'; 4096]).unwrap();
    }
    let best = (0..10)
        .map(|_| {
            let began = Instant::now();
            at.plans().unwrap();
            began.elapsed()
        })
        .min();
    // Generous for a busy machine and an unoptimized build.
    assert!(best.unwrap() < Duration::from_millis(20), "{best:?}");
}
