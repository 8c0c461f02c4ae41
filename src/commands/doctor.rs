//! `rig doctor`

use crate::{
    app::{App, Opened},
    engine_choice::{self, Start},
    failure::{ExitCode, Failure},
    packages, providers,
    render::Paint,
};
use rig_engine::{EngineError, Engines, Selection, Session, reconcile};
use rig_model::{BoxSource, Bytes, EngineFacts};
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
    /// A package whose installation mends it.
    #[serde(skip)]
    package: Option<&'static str>,
}

#[derive(Serialize)]
struct Document<'a> {
    findings: &'a [Finding],
    failed: usize,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into(), hint: None, package: None }
    }
    fn failed(check: &'static str, detail: impl Into<String>, hint: Option<String>) -> Self {
        Self { check, verdict: Verdict::Failed, detail: detail.into(), hint, package: None }
    }
    fn warning(check: &'static str, detail: impl Into<String>, hint: Option<String>) -> Self {
        Self { check, verdict: Verdict::Warning, detail: detail.into(), hint, package: None }
    }
    fn mended_by(mut self, package: &'static str) -> Self {
        self.package = Some(package);
        self
    }
}

/// Checks everything that `up` needs, all at once; mends what it can when asked.
pub(crate) async fn run(app: &App, arguments: &crate::cli::Doctor) -> Result<(), Failure> {
    let cx = app.context(Duration::from_secs(1800));
    let mut findings = examine(app, &cx).await;
    if arguments.fix && findings.iter().any(|finding| finding.verdict == Verdict::Failed || finding.package.is_some()) {
        let wanted: Vec<&'static str> = findings.iter().filter_map(|finding| finding.package).collect();
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
    let engine = engine(app, cx, opened.as_ref(), &mut findings).await;
    if let Some(opened) = &opened {
        bootstrap(app, opened, &mut findings);
        if let Some((provider, facts)) = &engine {
            with_engine(opened, provider, facts, cx, &mut findings).await;
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
        Err(error) => {
            let installed = engine_choice::private(app).is_some();
            let hint = if installed {
                "`rig engine start` starts one (Linux, root)".to_owned()
            } else {
                packages::hint(app, "docker.io")
            };
            let finding = Finding::failed("engine", error.to_string(), Some(hint));
            findings.push(if installed { finding } else { finding.mended_by("docker.io") });
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
                    .mended_by("mmdebstrap")
            } else {
                Finding::failed("mmdebstrap", detail, hint).mended_by("mmdebstrap")
            }
        }
    });
}

/// What only makes sense next to an engine: budget and ports.
async fn with_engine(
    opened: &Opened,
    provider: &Arc<dyn Provider>,
    facts: &EngineFacts,
    cx: &Context,
    findings: &mut Vec<Finding>,
) {
    let (workspace, folder) = (opened.loaded.workspace.clone(), opened.loaded.folder.clone());
    let session = Session::new(workspace, folder, [provider.clone()], Vec::new(), opened.layout.clone());
    let observed = match session.observe(cx, ObserveScope::ALL).await {
        Ok(observed) => observed,
        Err(error) => {
            findings.push(Finding::failed("engine", error.to_string(), error.hint()));
            return;
        }
    };
    let engines = Engines::from([(provider.id().clone(), facts.clone())]);
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
        Ok(()) => Finding::ok("provider", format!("{} can do what the file asks for", provider.id())),
        Err(error) => Finding::failed("provider", error.to_string(), error.hint()),
    });
    let mut seen = observed;
    if facts.local {
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
