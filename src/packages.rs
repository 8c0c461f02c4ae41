//! Installing what is missing, with the host's own package manager.

use crate::{app::App, engine_choice::may_start, failure::Failure};
use rig_provider_api::Context;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};

/// What to do about a missing package on this host.
pub(crate) fn hint(app: &App, package: &str) -> String {
    if has_apt(app) {
        if may_start() {
            format!("`rig doctor --fix` installs {package}")
        } else {
            format!("`sudo apt-get install -y {package}`, or `rig doctor --fix` as root")
        }
    } else if cfg!(target_os = "linux") {
        match package {
            "docker.io" => "install Docker with your package manager (Fedora: `dnf install moby-engine`, Arch: `pacman -S docker`) and start it".to_owned(),
            other => format!("install {other} with your package manager, or give the box an `image` source"),
        }
    } else {
        match package {
            "docker.io" => "install and start Docker Desktop, Colima or another Docker engine".to_owned(),
            other => format!("{other} exists on Linux only; give the box an `image` source"),
        }
    }
}

fn has_apt(app: &App) -> bool {
    std::env::split_paths(&app.settings.path).any(|folder| folder.join("apt-get").is_file())
}

/// Installs packages with apt.
pub(crate) async fn install(app: &App, cx: &Context, packages: &[&str]) -> Result<(), Failure> {
    if !has_apt(app) || !may_start() {
        let text: Vec<String> = packages.iter().map(|package| hint(app, package)).collect();
        return Err(Failure::Host {
            message: format!("{} cannot be installed from here", packages.join(", ")),
            hint: Some(text.join("; ")),
        });
    }
    app.ui.say(format!("installing {}", packages.join(", ")));
    apt(app, cx, &["update"]).await?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt(app, cx, &arguments).await
}

async fn apt(app: &App, cx: &Context, arguments: &[&str]) -> Result<(), Failure> {
    let doing = format!("apt-get {}", arguments.join(" "));
    let failed = |why: String| Failure::Host {
        message: format!("{doing}: {why}"),
        hint: Some("run it by hand to see more".to_owned()),
    };
    let mut command = tokio::process::Command::new("apt-get");
    command
        .args(["--quiet"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own: Ctrl-C is for rig, which waits for its end.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let show = async {
        if let Some(stdout) = stdout {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if app.ui.verbose {
                    app.ui.say(format!("  {line}"));
                }
            }
        }
    };
    let keep = async {
        let mut tail = Vec::new();
        if let Some(stderr) = stderr {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tail.push(line);
            }
        }
        tail
    };
    // Cut in the middle, a package manager leaves a system that has to be repaired: its end is waited for.
    let ((), tail, status) = tokio::join!(show, keep, child.wait());
    if cx.cancel().is_cancelled() {
        return Err(Failure::Said(crate::failure::ExitCode::Interrupted));
    }
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("{status}\n{}", tail[tail.len().saturating_sub(10)..].join("\n")))),
        Err(error) => Err(failed(error.to_string())),
    }
}
