//! `rig ssh-config`

use crate::{app::App, cli::Targets, engine_choice::Start, failure::Failure};
use rig_engine::Selection;
use rig_model::{MachineSpec, MachineState, ObservedMachine};
use rig_provider_api::{MachineRef, ObserveScope};
use rig_state::write_atomically;
use serde::Serialize;
use std::{fmt::Write, time::Duration};

#[derive(Serialize)]
struct Document {
    hosts: Vec<Host>,
}

/// One machine as OpenSSH sees it.
#[derive(Serialize)]
struct Host {
    machine: String,
    names: Vec<String>,
    address: String,
    port: u16,
    user: String,
    identity_file: String,
    known_hosts_file: String,
    host_key_alias: String,
}

/// Writes a configuration that OpenSSH and everything that uses it understands.
pub(crate) async fn run(app: &App, arguments: &Targets) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(60));
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets, &session.workspace, &observed)?;
    let engines = session.providers.probe(&cx).await?;
    let access = &session.access;
    let (mut hosts, mut known) = (Vec::new(), String::new());
    // Made now if there is none: the configuration names it.
    access.keys().await?;
    for seen in observed.machines.iter().filter(|seen| seen.state == MachineState::Running) {
        let Some(spec) = session.workspace.machine(&seen.id) else { continue };
        let Some(ssh) = &spec.ssh else { continue };
        // The file holds the keys of all machines, whichever are asked for: configurations of before use it as well.
        let record = match access.record(&cx, &seen.id).await {
            Ok(record) => record,
            Err(error) => {
                app.ui.warn(error.to_string());
                continue;
            }
        };
        let alias = format!("rig-{}-{}-{}", session.workspace.name, seen.id.topology, seen.id.machine);
        for key in &record.host_keys {
            // Writing to a string cannot fail.
            let _ = writeln!(known, "{alias} {key}");
        }
        if !selection.contains(&seen.id) {
            continue;
        }
        let place = match session.providers.get(&seen.provider)?.doors() {
            // A port of this host leads in: it has no way to the machine's own addresses.
            Some(doors) => {
                let machine = MachineRef { workspace: session.workspace.name.clone(), id: seen.id.clone() };
                match doors.door(&cx, &machine).await {
                    Ok(Some(door)) => Some((door.address.ip().to_string(), door.address.port())),
                    // It has ended since it was looked at.
                    Ok(None) => continue,
                    Err(error) => {
                        app.ui.warn(error.to_string());
                        continue;
                    }
                }
            }
            None => {
                let is_local = engines.get(&seen.provider).is_some_and(|engine| engine.local);
                place(seen, ssh.port, is_local)
            }
        };
        let Some((address, port)) = place else {
            app.ui.warn(format!(
                "machine {} has no address that this host reaches; publish port {} in its block",
                seen.id, ssh.port
            ));
            continue;
        };
        hosts.push(Host {
            machine: seen.id.to_string(),
            names: names(spec, &session.workspace),
            address,
            port,
            user: ssh.user.clone(),
            identity_file: absolute(app, opened.layout.private_key()),
            known_hosts_file: absolute(app, opened.layout.known_hosts()),
            host_key_alias: alias,
        });
    }
    opened.layout.prepare()?;
    write_atomically(&opened.layout.known_hosts(), known.as_bytes(), rig_state::Access::Default)?;
    if app.ui.is_json() {
        app.ui.document("rig.ssh-config/1", &Document { hosts });
    } else if hosts.is_empty() {
        app.ui.say("no mutable machine runs");
    } else {
        app.ui.result(hosts.iter().map(text).collect::<Vec<_>>().join("\n").trim_end());
    }
    Ok(())
}

/// Where OpenSSH connects to.
fn place(seen: &ObservedMachine, port: u16, is_local: bool) -> Option<(String, u16)> {
    let published = seen.ports.iter().find(|published| published.guest == port);
    if let Some(published) = published {
        let address = if published.bind.is_unspecified() { "127.0.0.1".to_owned() } else { published.bind.to_string() };
        return Some((address, published.host));
    }
    // Elsewhere the engine is in a VM, whose addresses this host does not reach.
    let direct = (cfg!(target_os = "linux") && is_local).then(|| seen.addresses.first()).flatten();
    direct.map(|(_, ip)| (ip.to_string(), port))
}

/// What the machine is called on the command line: its name and host name where no other topology has them.
fn names(spec: &MachineSpec, workspace: &rig_model::Workspace) -> Vec<String> {
    let is_only = |same: &dyn Fn(&MachineSpec) -> bool| {
        workspace.machines().filter(|other| other.ssh.is_some() && same(other)).count() == 1
    };
    let mut names = Vec::new();
    if is_only(&|other| other.id.machine == spec.id.machine) {
        names.push(spec.id.machine.to_string());
    }
    if spec.hostname != spec.id.machine.as_str() && is_only(&|other| other.hostname == spec.hostname) {
        names.push(spec.hostname.clone());
    }
    names.push(format!("{}-{}", spec.id.topology, spec.id.machine));
    names
}

fn absolute(app: &App, path: camino::Utf8PathBuf) -> String {
    app.settings.folder.join(path).components().collect::<camino::Utf8PathBuf>().into_string()
}

fn text(host: &Host) -> String {
    let Host { names, address, port, user, identity_file, known_hosts_file, host_key_alias, .. } = host;
    format!(
        "Host {}
  HostName {address}
  Port {port}
  User {user}
  IdentityFile \"{identity_file}\"
  IdentitiesOnly yes
  HostKeyAlias {host_key_alias}
  UserKnownHostsFile \"{known_hosts_file}\"
  StrictHostKeyChecking yes
  PasswordAuthentication no
",
        names.join(" ")
    )
}
