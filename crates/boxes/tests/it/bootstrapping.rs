//! Root file systems from a program that stands in for `mmdebstrap`; once from the real one.
#![cfg(unix)]

use crate::support::{Call, Engine, bootstrap, box_spec, context, host, temporary};
use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use rig_boxes::{BoxError, BoxPlan, MakeBox, make_box};
use rig_model::{BootstrapKind, BoxSource, Digest, HostTrust};
use rig_provider_api::Context;
use std::{
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

fn program(folder: &Utf8Path, script: &str) -> Utf8PathBuf {
    let path = folder.join("mmdebstrap");
    fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn make(
    engine: &Engine,
    program: &Utf8Path,
    source: &BoxSource,
    trust: &HostTrust,
    cx: &Context,
) -> Result<(), BoxError> {
    let spec = box_spec("debian", vec![source.clone()]);
    let plan = BoxPlan {
        digest: Digest::of(b"plan"),
        source: source.clone(),
        parent: None,
        stored: None,
        trusted: true,
        existing: None,
    };
    let request = MakeBox {
        spec: &spec,
        plan: &plan,
        parent_image: None,
        artifacts: &IndexMap::new(),
        cloud_image: None,
        folder: Utf8Path::new("/"),
        trust,
        host: &host(Some(program)),
        no_cache: false,
    };
    make_box(engine, &request, cx).await
}

async fn run(engine: &Engine, script: &str, cx: &Context) -> Result<(), BoxError> {
    let (_guard, folder) = temporary();
    make(engine, &program(&folder, script), &bootstrap("bookworm", &["tini"]), &HostTrust::default(), cx).await
}

#[tokio::test]
async fn what_the_program_writes_is_imported_and_its_steps_are_told() {
    let engine = Engine::default();
    let (cx, told) = context();
    run(
        &engine,
        "echo 'I: installing essential packages...' >&2; echo 'I: using x' >&2; echo noise >&2; printf root",
        &cx,
    )
    .await
    .unwrap();
    let [Call::Import(tag, root)] = &engine.calls()[..] else { panic!("{:?}", engine.calls()) };
    assert_eq!((tag.image.as_str(), root.as_slice()), (engine_reference().as_str(), b"root".as_slice()));
    assert_eq!(told.steps(), ["installing essential packages"]);
}

fn engine_reference() -> String {
    format!("rig/debian:{}", Digest::of(b"plan").short())
}

#[tokio::test]
async fn the_program_gets_suite_packages_mirror_certificates_and_proxies() {
    let (_guard, folder) = temporary();
    let script = r#"for a in "$@"; do echo "arg:$a"; done; cat "$RIG_CERTIFICATES"/*; echo " $http_proxy"; ls -ld . | cut -c1-10"#;
    let trust = HostTrust {
        certificates: vec!["PEM1,".to_owned(), "PEM2".to_owned()],
        proxies: vec![("http_proxy".to_owned(), "http://p".to_owned())],
    };
    let engine = Engine::default();
    let source = bootstrap("bookworm", &["tini", "curl"]);
    make(&engine, &program(&folder, script), &source, &trust, &context().0).await.unwrap();
    let [Call::Import(_, root)] = &engine.calls()[..] else { panic!("{:?}", engine.calls()) };
    let text = String::from_utf8(root.clone()).unwrap();
    assert!(text.contains("arg:--include=ca-certificates,curl,tini\n"), "{text}");
    assert!(
        text.ends_with("arg:--\narg:bookworm\narg:-\narg:http://mirror.example\nPEM1,PEM2 http://p\ndrwxr-xr-x\n"),
        "{text}"
    );
    assert!(text.contains("update-ca-certificates"));
}

#[tokio::test]
async fn with_a_kernel_the_program_gets_what_a_virtual_machine_needs() {
    let (_guard, folder) = temporary();
    let script = r#"for a in "$@"; do echo "arg:$a"; done; ls -l "$RIG_VM"; cat "$RIG_VM/sshd_config""#;
    let engine = Engine::default();
    let mut source = bootstrap("bookworm", &["tini"]);
    let BoxSource::Bootstrap(settings) = &mut source else { panic!() };
    settings.kind = BootstrapKind::Machine;
    make(&engine, &program(&folder, script), &source, &HostTrust::default(), &context().0).await.unwrap();
    let [Call::Import(_, root)] = &engine.calls()[..] else { panic!("{:?}", engine.calls()) };
    let text = String::from_utf8(root.clone()).unwrap();
    for part in [
        "busybox-static,",
        "openssh-server,",
        ",tini\n",
        "linux-image-cloud-",
        "etc/s6/sshd/run",
        "vm-finish",
        "UsePAM no",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let hooks: Vec<_> = text.match_indices("arg:--customize-hook=").map(|(at, _)| at).collect();
    assert!(hooks.len() == 3 && text[hooks[2]..].contains("policy-rc.d"), "caches are removed last");
}

#[tokio::test]
async fn of_a_tiny_machine_nothing_is_installed() {
    let (_guard, folder) = temporary();
    let script = r#"for a in "$@"; do echo "arg:$a"; done; ls "$RIG_VM""#;
    let trust = HostTrust { certificates: vec!["PEM".to_owned()], proxies: Vec::new() };
    let engine = Engine::default();
    let mut source = bootstrap("bookworm", &[]);
    let BoxSource::Bootstrap(settings) = &mut source else { panic!() };
    settings.kind = BootstrapKind::TinyMachine;
    make(&engine, &program(&folder, script), &source, &trust, &context().0).await.unwrap();
    let [Call::Import(_, root)] = &engine.calls()[..] else { panic!("{:?}", engine.calls()) };
    let text = String::from_utf8(root.clone()).unwrap();
    for part in ["arg:--variant=extract\n", ",dropbear-bin,", "linux-image-cloud-", "\nsshd-run\n", "\nrig-seed\n"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    for part in ["ca-certificates", "openssh-server", "arg:--customize-hook", "arg:--essential-hook", "sshd_config\n"] {
        assert!(!text.contains(part), "{part} is in {text}");
    }
}

#[tokio::test]
async fn a_failure_fails_the_import_and_shows_the_last_lines() {
    let script = "printf half; for i in $(seq 40); do echo line $i >&2; done; echo 'E: no such suite' >&2; exit 3";
    let engine = Engine::default();
    let error = run(&engine, script, &context().0).await.unwrap_err();
    assert_eq!(error.to_string(), "bootstrapping bookworm with mmdebstrap: it ended with exit status: 3");
    assert_eq!((error.tail().len(), error.tail()[19].as_str()), (20, "E: no such suite"));
    assert!(engine.calls().is_empty(), "imported half a root");
}

#[tokio::test]
async fn an_engine_that_takes_half_a_root_loses_it_again() {
    let engine = Engine { careless: true, ..Engine::default() };
    let error = run(&engine, "printf half; exit 3", &context().0).await.unwrap_err();
    assert!(matches!(error, BoxError::Bootstrap { .. }), "{error}");
    let [Call::Import(..), Call::Remove(image)] = &engine.calls()[..] else { panic!("{:?}", engine.calls()) };
    assert_eq!(*image, engine_reference());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let engine = Engine::default();
    let source = bootstrap("bookworm", &[]);
    let error = make(&engine, Utf8Path::new("/absent/mmdebstrap"), &source, &HostTrust::default(), &context().0).await;
    assert!(error.unwrap_err().to_string().contains("/absent/mmdebstrap could not be started"));
}

#[tokio::test]
async fn cancelling_lets_the_program_tidy_up_with_its_children() {
    let (_guard, folder) = temporary();
    let tidied = folder.join("tidied");
    let script = format!("trap 'echo > {tidied}; exit 1' TERM; echo 'I: creating tarball' >&2; sleep 60 & wait");
    let (cx, told) = context();
    let cancel = cx.cancel().clone();
    let began = Instant::now();
    tokio::spawn(async move {
        while told.steps().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    let error = run(&Engine::default(), &script, &cx).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "{error}");
    assert!(tidied.exists());
    assert!(error.is_cancelled(), "{error}");
}

#[tokio::test]
async fn the_deadline_ends_the_program() {
    let (cx, _) = context();
    let error = run(&Engine::default(), "exec sleep 60", &cx.within(Duration::from_millis(200))).await.unwrap_err();
    assert!(matches!(error, BoxError::TimedOut { .. }), "{error}");
}
