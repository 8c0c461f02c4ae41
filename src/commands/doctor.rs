//! `rig doctor`

use crate::{
    app::{App, Opened},
    engine_choice::{self, Start},
    engine_vm,
    failure::{ExitCode, Failure},
    packages, providers,
    render::Paint,
};
use rig_engine::{EngineError, Engines, Selection, Session, reconcile};
use rig_model::{BoxSource, Bytes, EngineFacts, Workspace};
use rig_provider_api::{Context, ObserveScope, Provider};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// What Spark and Cassandra in both idioms take with their images and downloads, with room to work.
const DISK: Bytes = Bytes(12 << 30);

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    hint: Option<String>,
    /// Packages whose installation mends it.
    #[serde(skip)]
    packages: &'static [&'static str],
}

#[derive(Serialize)]
struct Document<'a> {
    findings: &'a [Finding],
    failed: usize,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into(), hint: None, packages: &[] }
    }
    fn failed(check: &'static str, detail: impl Into<String>, hint: Option<String>) -> Self {
        Self { check, verdict: Verdict::Failed, detail: detail.into(), hint, packages: &[] }
    }
    fn warning(check: &'static str, detail: impl Into<String>, hint: Option<String>) -> Self {
        Self { check, verdict: Verdict::Warning, detail: detail.into(), hint, packages: &[] }
    }
    fn mended_by(mut self, packages: &'static [&'static str]) -> Self {
        self.packages = packages;
        self
    }
}

/// Checks everything that `up` needs, all at once; mends what it can when asked.
pub(crate) async fn run(app: &App, arguments: &crate::cli::Doctor) -> Result<(), Failure> {
    let cx = app.context(Duration::from_secs(1800));
    let mut findings = examine(app, &cx).await;
    if arguments.fix
        && findings.iter().any(|finding| finding.verdict == Verdict::Failed || !finding.packages.is_empty())
    {
        let wanted: Vec<&'static str> = findings.iter().flat_map(|finding| finding.packages).copied().collect();
        if !wanted.is_empty() {
            packages::install(app, &cx, &wanted).await?;
        }
        if findings.iter().any(|finding| finding.check == "engine" && finding.verdict == Verdict::Failed) {
            // Whatever keeps the engine from starting is part of the second examination.
            if let Err(error) = providers::docker(app, None, Start::IfNeeded).await {
                app.ui.say(format!("{error}"));
            }
        }
        findings = examine(app, &cx).await;
    }
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Failed).count();
    if app.ui.is_json() {
        app.ui.document("rig.doctor/1", &Document { findings: &findings, failed });
    } else {
        for finding in &findings {
            let sign = match finding.verdict {
                Verdict::Ok => Paint::Good.paint("✓"),
                Verdict::Warning => Paint::Warn.paint("!"),
                Verdict::Failed => Paint::Bad.paint("✗"),
            };
            app.ui.result(format!("{sign} {:<12} {}", finding.check, finding.detail));
            if let Some(hint) = &finding.hint {
                app.ui.result(format!("  {:<12} {} {hint}", "", Paint::Strong.paint("help:")));
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Said(ExitCode::Failed)) }
}

async fn examine(app: &App, cx: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let opened = workspace(app, &mut findings);
    let of_file = |needs: fn(&Workspace) -> bool| opened.as_ref().is_some_and(|opened| needs(&opened.loaded.workspace));
    let engine = if opened.is_none() || of_file(providers::needs_docker) {
        engine(app, cx, opened.as_ref(), &mut findings).await
    } else {
        None
    };
    let mut machines = Vec::new();
    if of_file(providers::needs_qemu) {
        let hint = packages::hint(app, &providers::QEMU_PACKAGES.join(" "));
        let missing = Finding::failed("qemu", "not on this host; the file names it", Some(hint));
        let missing = missing.mended_by(&providers::QEMU_PACKAGES);
        machines.extend(hypervisor(cx, "qemu", providers::qemu(app), missing, &mut findings).await);
    }
    if of_file(providers::needs_virtualbox) {
        let hint = providers::VIRTUALBOX_HINT.to_owned();
        let missing = Finding::failed("virtualbox", "not on this host; the file names it", Some(hint));
        machines.extend(hypervisor(cx, "virtualbox", providers::virtualbox(app), missing, &mut findings).await);
    }
    if let Some(opened) = &opened {
        bootstrap(app, opened, &mut findings);
        let there: Vec<_> = engine.into_iter().chain(machines).collect();
        if !there.is_empty() {
            with_engines(opened, &there, cx, &mut findings).await;
        }
    }
    disk(app, &mut findings);
    trust(app, &mut findings);
    findings
}

fn workspace(app: &App, findings: &mut Vec<Finding>) -> Option<Opened> {
    match app.open() {
        Ok(opened) => {
            let workspace = &opened.loaded.workspace;
            findings.push(Finding::ok(
                "workspace",
                format!("{}: {} machines", workspace.name, workspace.machines().count()),
            ));
            Some(opened)
        }
        Err(Failure::File(mistakes)) => {
            let hint = "`rig validate` shows them with their places".to_owned();
            findings.push(Finding::failed(
                "workspace",
                format!("the file has {} mistakes", mistakes.iter().count()),
                Some(hint),
            ));
            None
        }
        Err(error) => {
            findings.push(Finding::warning("workspace", error.to_string(), error.hint()));
            None
        }
    }
}

async fn engine(
    app: &App,
    _: &Context,
    opened: Option<&Opened>,
    findings: &mut Vec<Finding>,
) -> Option<(Arc<dyn Provider>, EngineFacts)> {
    let cx = app.context(Duration::from_secs(20));
    let workspace = opened.map(|opened| &opened.loaded.workspace);
    let connected = async {
        let provider = providers::docker(app, workspace, Start::Never).await?;
        let facts = provider.probe(&cx).await?;
        Ok::<_, Failure>((provider, facts))
    };
    match connected.await {
        Ok((provider, facts)) => {
            let detail = format!(
                "{} at {} ({}), {} memory, {} processors",
                facts.version, facts.endpoint, facts.chosen_by, facts.memory, facts.cpus
            );
            findings.push(Finding::ok("engine", detail));
            Some((provider, facts))
        }
        Err(error) if !engine_choice::may_start() && engine_vm::can_be_made(app) => {
            let hint = "`rig up` starts one in a virtual machine; `rig doctor --fix` as root installs one".to_owned();
            findings.push(Finding::warning("engine", error.to_string(), Some(hint)));
            None
        }
        Err(error) => {
            let installed = engine_choice::private(app).is_some();
            let hint = if installed {
                "`rig engine start` starts one (Linux, root)".to_owned()
            } else {
                packages::hint(app, "docker.io")
            };
            let finding = Finding::failed("engine", error.to_string(), Some(hint));
            findings.push(if installed { finding } else { finding.mended_by(&["docker.io"]) });
            None
        }
    }
}

/// Virtual machines need the hypervisor that the file names; `missing` says that it is not there.
async fn hypervisor(
    cx: &Context,
    check: &'static str,
    provider: Option<Arc<dyn Provider>>,
    missing: Finding,
    findings: &mut Vec<Finding>,
) -> Option<(Arc<dyn Provider>, EngineFacts)> {
    let Some(provider) = provider else {
        findings.push(missing);
        return None;
    };
    match provider.probe(cx).await {
        Ok(facts) => {
            findings.push(Finding::ok(check, format!("{} at {}", facts.version, facts.endpoint)));
            Some((provider, facts))
        }
        Err(error) => {
            findings.push(Finding::failed(check, error.to_string(), error.hint().map(str::to_owned)));
            None
        }
    }
}

/// Boxes that can only be bootstrapped need the program for it.
fn bootstrap(app: &App, opened: &Opened, findings: &mut Vec<Finding>) {
    let workspace = &opened.loaded.workspace;
    let needed = workspace.boxes.values().find(|spec| matches!(spec.sources.first(), Some(BoxSource::Bootstrap(_))));
    let Some(spec) = needed else { return };
    findings.push(match rig_boxes::find_mmdebstrap(&app.settings.path) {
        Some(path) => Finding::ok("mmdebstrap", path.to_string()),
        None => {
            let hint = Some(packages::hint(app, "mmdebstrap"));
            let detail = format!("not on this host; box {} is made with it", spec.name);
            if spec.sources.len() > 1 {
                Finding::warning("mmdebstrap", format!("{detail}, or pulled from a registry instead"), hint)
                    .mended_by(&["mmdebstrap"])
            } else {
                Finding::failed("mmdebstrap", detail, hint).mended_by(&["mmdebstrap"])
            }
        }
    });
}

/// What only makes sense next to engines: budget and ports.
async fn with_engines(
    opened: &Opened,
    there: &[(Arc<dyn Provider>, EngineFacts)],
    cx: &Context,
    findings: &mut Vec<Finding>,
) {
    let (workspace, folder) = (opened.loaded.workspace.clone(), opened.loaded.folder.clone());
    let providers = there.iter().map(|(provider, _)| provider.clone());
    let session = Session::new(workspace, folder, providers, Vec::new(), opened.layout.clone());
    let observed = match session.observe(cx, ObserveScope::ALL).await {
        Ok(observed) => observed,
        Err(error) => {
            findings.push(Finding::failed("engine", error.to_string(), error.hint()));
            return;
        }
    };
    let engines: Engines = there.iter().map(|(provider, facts)| (provider.id().clone(), facts.clone())).collect();
    match reconcile::check_budget(&session.workspace, &observed, &|_| true, &engines) {
        Ok(notes) if notes.is_empty() => {
            findings.push(Finding::ok("budget", "memory and processors suffice for every machine"));
        }
        Ok(notes) => {
            findings.extend(notes.into_iter().map(|note| Finding::warning("budget", note.text, note.hint)));
        }
        Err(error) => findings.push(Finding::failed("budget", error.to_string(), error.hint())),
    }
    findings.push(match session.validate(&Selection::All) {
        Ok(()) => {
            let names: Vec<&str> = there.iter().map(|(provider, _)| provider.id().as_str()).collect();
            Finding::ok("provider", format!("{} can do what the file asks for", names.join(" and ")))
        }
        Err(error) => Finding::failed("provider", error.to_string(), error.hint()),
    });
    let mut seen = observed;
    if there.iter().any(|(_, facts)| facts.ports_here) {
        session.add_host_ports(&mut seen);
    }
    findings.push(match reconcile::HostPorts::assign(&session.workspace, &seen, &|_| true) {
        Ok(_) => Finding::ok("ports", "every published port is free"),
        Err(errors) => {
            let error = EngineError::Plan(errors);
            Finding::failed("ports", error.to_string(), error.hint())
        }
    });
}

fn disk(app: &App, findings: &mut Vec<Finding>) {
    #[cfg(unix)]
    {
        let folder = app.settings.dirs.cache.ancestors().find(|folder| folder.exists());
        let Some(stat) = folder.and_then(|folder| rustix::fs::statvfs(folder.as_std_path()).ok()) else { return };
        let free = Bytes(stat.f_bavail.saturating_mul(stat.f_frsize));
        let detail = format!("{free} free for downloads");
        findings.push(if free >= DISK {
            Finding::ok("disk", detail)
        } else {
            Finding::warning(
                "disk",
                format!("{detail}; a cluster with its boxes takes up to {DISK}"),
                Some("make room first".to_owned()),
            )
        });
    }
    #[cfg(not(unix))]
    let _ = (app, findings, DISK);
}

fn trust(app: &App, findings: &mut Vec<Finding>) {
    let trust = &app.settings.trust;
    let detail = match (trust.certificates.len(), trust.proxies.len()) {
        (0, 0) => "this host has no certificates or proxies of its own".to_owned(),
        (certificates, proxies) => {
            format!(
                "{certificates} certificates and {proxies} proxy settings of this host reach boxes and machines (`--no-host-trust` keeps them out)"
            )
        }
    };
    findings.push(Finding::ok("host trust", detail));
}
