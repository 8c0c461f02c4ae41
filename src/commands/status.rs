//! `rig status`

use crate::{
    app::App,
    cli::Targets,
    engine_choice::Start,
    failure::Failure,
    render::{self, Paint},
};
use futures_util::{StreamExt, stream};
use rig_engine::{Questions, Selection, Session};
use rig_model::{MachineSpec, MachineState, ObservedMachine, Protocol, RequestedPort, SyncSpec};
use rig_provider_api::{Context, MachineRef, ObserveScope, Provider};
use serde::Serialize;
use std::time::Duration;

/// How many machines are asked at the same time.
const AT_ONCE: usize = 32;

/// How machines have folders that they see as this host does.
const BIND: &str = "bind";

#[derive(Serialize)]
struct Document {
    workspace: String,
    engine: String,
    machines: Vec<Row>,
}

/// A machine as the node list shows it.
#[derive(Serialize)]
struct Row {
    machine: String,
    role: Option<String>,
    idiom: Option<String>,
    provider: Option<String>,
    /// `missing`, `created`, `running`, `restarting`, `paused`, `exited`, `dead`.
    state: String,
    /// `ready`, `not ready`, or nothing for a machine without probes or that does not run.
    health: Option<&'static str>,
    hostname: Option<String>,
    ip: Option<String>,
    ports: Vec<String>,
    folders: Vec<Folder>,
    /// Seconds since the last start.
    uptime_seconds: Option<i64>,
    restarts: Option<u32>,
    exit: Option<String>,
    flavor: Option<String>,
    #[serde(rename = "box")]
    box_name: Option<String>,
    id: Option<String>,
    /// Whether the file declares it.
    declared: bool,
}

/// A folder of this host, as a machine has it.
#[derive(Serialize)]
struct Folder {
    source: String,
    target: String,
    /// `bind`, `shared folder`, or `copy`.
    way: &'static str,
}

/// Lists machines: those that the file declares, and those that are there although it does not.
pub(crate) async fn run(app: &App, arguments: &Targets) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(30));
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets, &session.workspace, &observed)?;
    let ip = Session::addresses(&session.workspace, &observed.machines);
    let declared: Vec<_> = session.workspace.machines().map(|machine| machine.id.clone()).collect();
    let extra = observed.machines.iter().map(|seen| seen.id.clone()).filter(|id| !declared.contains(id));
    let ids: Vec<_> = declared.iter().cloned().chain(extra).filter(|id| selection.contains(id)).collect();
    let rows: Vec<Row> = stream::iter(&ids)
        .map(|id| {
            let seen = observed.machines.iter().find(|seen| seen.id == *id).cloned();
            row(&session, &cx, id, seen, &ip)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    if app.ui.is_json() {
        let providers: Vec<&str> = session.providers.iter().map(|provider| provider.id().as_str()).collect();
        let engine = providers.join(", ");
        app.ui.document(
            "rig.status/1",
            &Document { workspace: session.workspace.name.to_string(), engine, machines: rows },
        );
        return Ok(());
    }
    let mut head = vec!["NAME", "ROLE", "STATE", "HEALTH", "IP", "PORTS", "UPTIME", "FLAVOR", "BOX"];
    let mut cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    if session.providers.iter().count() > 1 {
        head.push("PROVIDER");
        for (cells, row) in cells.iter_mut().zip(&rows) {
            cells.push(row.provider.clone().unwrap_or_default());
        }
    }
    // Folders that are this host's own need no column.
    if rows.iter().flat_map(|row| &row.folders).any(|folder| folder.way != BIND) {
        head.push("FOLDERS");
        for (cells, row) in cells.iter_mut().zip(&rows) {
            let folders = row.folders.iter().map(|folder| format!("{} ({})", folder.target, folder.way));
            let folders: Vec<String> = folders.collect();
            cells.push(if folders.is_empty() { "-".to_owned() } else { folders.join(" ") });
        }
    }
    app.ui.result(render::table(&head, cells));
    Ok(())
}

/// The folders of a machine, and how a provider gets them there.
fn folders(provider: &dyn Provider, spec: &MachineSpec) -> Vec<Folder> {
    let way = match (provider.folders(), provider.doors()) {
        (Some(_), _) => "copy",
        (None, Some(_)) => "shared folder",
        (None, None) => BIND,
    };
    let folder = |sync: &SyncSpec| Folder { source: sync.source.clone(), target: sync.target.clone(), way };
    spec.syncs.iter().map(folder).collect()
}

async fn row(
    session: &Session,
    cx: &Context,
    id: &rig_model::MachineId,
    seen: Option<ObservedMachine>,
    ip: &(dyn Fn(&rig_model::MachineId) -> Option<std::net::Ipv4Addr> + Sync),
) -> Row {
    let spec = session.workspace.machine(id);
    let machine = MachineRef { workspace: session.workspace.name.clone(), id: id.clone() };
    // Only a running machine has a start time and probes worth asking; only an ended one an exit code.
    let (closer, ready) = tokio::join!(
        async {
            match &seen {
                Some(seen) => match session.providers.having(seen) {
                    Ok(provider) => provider.inspect(cx, &machine).await.ok().flatten(),
                    Err(_) => None,
                },
                None => None,
            }
        },
        async {
            match (&seen, spec) {
                (Some(seen), Some(spec)) if seen.state == MachineState::Running => {
                    session.health(cx, spec, ip, Questions::All).await
                }
                _ => None,
            }
        }
    );
    let seen = closer.or(seen);
    let uptime = seen.as_ref().filter(|seen| seen.state.is_running()).and_then(|seen| seen.started);
    let ports = match &seen {
        Some(seen) if seen.state.is_running() => seen
            .ports
            .iter()
            .map(|port| format!("{}:{}->{}{}", port.bind, port.host, port.guest, udp(port.protocol)))
            .collect(),
        _ => spec.map_or_else(Vec::new, |spec| {
            let host = |host: RequestedPort| match host {
                RequestedPort::Fixed(host) => host.to_string(),
                RequestedPort::Auto => "auto".to_owned(),
            };
            spec.ports
                .iter()
                .map(|port| format!("{}:{}->{}{}", port.bind, host(port.host), port.guest, udp(port.protocol)))
                .collect()
        }),
    };
    Row {
        machine: id.to_string(),
        role: spec.and_then(|spec| spec.role.clone()),
        idiom: spec.map(|spec| spec.idiom.to_string()),
        provider: seen.as_ref().map(|seen| &seen.provider).or(spec.map(|spec| &spec.provider)).map(ToString::to_string),
        state: seen.as_ref().map_or_else(|| "missing".to_owned(), |seen| seen.state.to_string()),
        health: ready.map(|ready| if ready { "ready" } else { "not ready" }),
        hostname: spec.map(|spec| spec.hostname.clone()),
        ip: ip(id).map(|ip| ip.to_string()),
        ports,
        folders: spec.map_or_else(Vec::new, |spec| {
            session
                .providers
                .get(&spec.provider)
                .map_or_else(|_| Vec::new(), |provider| folders(provider.as_ref(), spec))
        }),
        uptime_seconds: uptime.map(|started| jiff::Timestamp::now().as_second() - started.as_second()),
        restarts: seen.as_ref().and_then(|seen| seen.restarts),
        exit: seen.as_ref().and_then(|seen| seen.exit.as_ref()).map(ToString::to_string),
        flavor: spec.and_then(|spec| spec.flavor.as_ref()).map(ToString::to_string),
        box_name: spec.map(|spec| spec.box_name.to_string()),
        id: seen.map(|seen| seen.native),
        declared: spec.is_some(),
    }
}

fn udp(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    }
}

fn cells(row: &Row) -> Vec<String> {
    let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let state = match row.state.as_str() {
        "running" => Paint::Good.paint("running"),
        "missing" | "created" => Paint::Faint.paint(&row.state),
        other => Paint::Bad.paint(other),
    };
    let name = if row.declared { row.machine.clone() } else { format!("{} (not declared)", row.machine) };
    vec![
        name,
        dash(row.role.as_deref()),
        state,
        match row.health {
            Some("ready") => Paint::Good.paint("ready"),
            Some(other) => Paint::Warn.paint(other),
            None => "-".to_owned(),
        },
        dash(row.ip.as_deref()),
        if row.ports.is_empty() { "-".to_owned() } else { row.ports.join(" ") },
        row.uptime_seconds.map_or_else(|| "-".to_owned(), render::span),
        dash(row.flavor.as_deref()),
        dash(row.box_name.as_deref()),
    ]
}
