//! `cargo xtask test`: everything that says that the project is sound, the fast part first.

use crate::{
    cargo::{self, Result, cargo, release, rig},
    cross,
    lab::{self, Network, packages},
};
use std::{path::Path, time::Instant};

/// The features that turn on tests with real engines and a real SSH server.
const ENGINE_TESTS: &str = "rig/engine-tests,rig-provider-docker/engine-tests,rig-provider-qemu/engine-tests,\
    rig-provider-virtualbox/engine-tests,rig-ssh/engine-tests";

/// Scenarios of many minutes: once is enough for the gate. `RIG_ENGINE` names the engine for those who want them on another.
const LONG: [&str; 9] = [
    "killed_at_any_moment",
    "drift",
    "the_root_workspace",
    "a_topology_does_not_differ_from_its_twin",
    "what_differs_makes_ratios_unfair",
    // No container of this engine is part of them.
    "engine_vm",
    "foreign",
    "virtual_machines",
    "virtualbox",
];

/// Runs the fast part, then, unless told otherwise, the slow one.
pub(crate) fn run(fast_only: bool) -> Result {
    let began = Instant::now();
    fast()?;
    println!("fast part: {:.0} s", began.elapsed().as_secs_f64());
    if !fast_only {
        slow()?;
    }
    println!("everything passed in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Format, lints, unit tests, golden plans, the fake provider.
fn fast() -> Result {
    cargo::run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    cargo::run("test", &mut cargo(&["test", "--workspace", "--locked", "--quiet"]))?;
    let lints =
        ["clippy", "--workspace", "--locked", "--all-targets", "--features", ENGINE_TESTS, "--", "--deny", "warnings"];
    cargo::run("lints", &mut cargo(&lints))
}

/// Real engines and clusters: the host's engine, then the current one, then other platforms.
fn slow() -> Result {
    let program = release()?;
    // The conformance suite makes its machines from it.
    packages::install(&["busybox-static"])?;
    packages::install(&["openssh-server", "openssh-client", "sudo"])?;
    packages::install(&["qemu-system-x86", "qemu-utils"])?;
    let sshd = ["test", "--workspace", "--locked", "--features", ENGINE_TESTS, "--test", "sshd"];
    cargo::run("SSH against a real server", &mut cargo(&sshd))?;
    cargo::run("rig doctor --fix", &mut rig(&program, &["doctor", "--fix"]))?;
    let machines = ["test", "--workspace", "--locked", "--features", ENGINE_TESTS, "--test", "qemu"];
    cargo::run("conformance on QEMU", &mut cargo(&machines))?;
    let virtualbox = lab::virtualbox::prepare()?;
    engine_tests(&program, None, Some(virtualbox.folder()))?;
    // Two daemons would fight over the bridge and the packet filter. Another engine than rig's own is not stopped here:
    // the current one then refuses to start, and says why.
    cargo::run("rig engine stop", &mut rig(&program, &["engine", "stop"]))?;
    let socket = lab::current_engine::start(Network::Host)?;
    let tested = engine_tests(&program, Some(&format!("unix://{}", socket.display())), None);
    lab::current_engine::stop(Network::Host)?;
    tested?;
    cross::cross()
}

/// The conformance suite and the scenarios on one engine, without an address on the one that rig finds, and those on VirtualBox.
fn engine_tests(program: &Path, engine: Option<&str>, virtualbox: Option<&Path>) -> Result {
    let (name, address) = match engine {
        Some(address) => ("the current engine", address.to_owned()),
        None => ("the host's engine", endpoint(program)?),
    };
    // The whole workspace each time: with fewer packages cargo would choose other features of the same libraries, and
    // build all of them once more.
    let tests = |name: &'static str| ["test", "--workspace", "--locked", "--features", ENGINE_TESTS, "--test", name];
    let mut conformance = cargo(&tests("conformance"));
    cargo::run(&format!("conformance on {name}"), conformance.env("RIG_TEST_ENGINE", &address))?;
    let mut scenarios = cargo(&tests("scenarios"));
    scenarios.args(["--", "--test-threads=1"]);
    if engine.is_some() {
        scenarios.args(LONG.iter().flat_map(|name| ["--skip", name]));
    }
    scenarios.env("RIG_PROGRAM", program).env("RIG_ENGINE", &address);
    scenarios.envs(virtualbox.map(|folder| ("RIG_VIRTUALBOX", folder)));
    cargo::run(&format!("scenarios on {name}"), &mut scenarios)
}

/// Where the engine is that rig uses.
fn endpoint(program: &Path) -> Result<String> {
    let doing = "rig engine status";
    let output = rig(program, &["engine", "status", "--json"]).output().map_err(|error| format!("{doing}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{doing}: {error} in {text:?}"))?;
    answer["endpoint"].as_str().map(str::to_owned).ok_or_else(|| format!("{doing} names no endpoint: {text}"))
}
