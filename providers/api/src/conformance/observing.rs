//! What is seen of machines: their states, what they were made from, and what must not be seen.

use super::{
    Case, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name, reference},
};
use crate::{ObserveScope, StopMode};
use rig_model::{Field, MachineState, Name};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(the_backend_says_what_it_has),
        case!(a_machine_is_found_in_every_state),
        case!(an_exit_code_is_kept, Service),
        case!(what_it_was_made_from_is_seen),
        case!(a_changed_file_shows_as_drift),
        case!(values_of_the_environment_are_sealed, Service),
        case!(other_workspaces_are_not_seen),
        case!(workspaces_with_machines_are_known),
        case!(ranges_of_other_workspaces_are_seen, Networks),
    ]
}

async fn the_backend_says_what_it_has(stage: &Stage<'_>) -> Outcome {
    let facts = stage.provider.probe(&stage.cx).await?;
    ensure!(facts.memory.0 > 0 && facts.cpus.0 > 0, "the backend has no memory or no processors: {facts:?}");
    ensure!(
        !facts.version.is_empty() && !facts.endpoint.is_empty(),
        "the backend has no version or address: {facts:?}"
    );
    Ok(())
}

async fn a_machine_is_found_in_every_state(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("states");
    ensure_eq!(stage.find(&machine).await?, None, "a machine that was not created is");
    stage.create(&machine).await?;
    let created = stage.seen(&machine).await?;
    ensure_eq!(created.state, MachineState::Created, "a created machine is");
    stage.start(&machine).await?;
    let running = stage.seen(&machine).await?;
    ensure_eq!(running.state, MachineState::Running, "a started machine is");
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    let exited = stage.seen(&machine).await?;
    ensure_eq!(exited.state, MachineState::Exited, "a stopped machine is");
    for seen in [running, exited] {
        let state = seen.state;
        let seen = rig_model::ObservedMachine { state: MachineState::Created, ..seen };
        ensure_eq!(seen, created, "all but the state of a machine that is {state} is");
    }
    Ok(())
}

async fn an_exit_code_is_kept(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("seven");
    machine.command = Fixture::shell("exit 7");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let exit = stage.inspected(&machine).await?.exit;
    ensure_eq!(exit, Some(rig_model::Exit { code: 7, out_of_memory: false }), "the end of `exit 7` is");
    Ok(())
}

async fn what_it_was_made_from_is_seen(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("worker12");
    machine.group = name("worker");
    machine.index = Some(12);
    machine.role = Some("worker".to_owned());
    machine.env.insert("MASTER".to_owned(), "spark://master:7077".to_owned());
    machine.limits.memory = Some(rig_model::Bytes(64 * rig_model::Bytes::MIB));
    stage.create(&machine).await?;
    let seen = stage.seen(&machine).await?;
    ensure_eq!(seen.group, machine.group, "the group is");
    ensure_eq!(seen.index, machine.index, "the index is");
    ensure_eq!(seen.digest, Some(machine.digest()), "the hash is");
    ensure_eq!(seen.fields, machine.sealed_fields(), "the fields are");
    ensure_eq!(seen.image, machine.image, "the image is");
    ensure_eq!(seen.ports, machine.ports, "the ports are");
    let addresses: Vec<_> = machine.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?))).collect();
    ensure_eq!(seen.addresses, addresses, "the addresses are");
    Ok(())
}

async fn a_changed_file_shows_as_drift(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("drifting");
    machine.env.insert("ROLE".to_owned(), "worker".to_owned());
    stage.up(&machine).await?;
    let seen = stage.seen(&machine).await?;
    let mut wanted = machine.clone();
    wanted.env.insert("ROLE".to_owned(), "master".to_owned());
    wanted.hostname = "other".to_owned();
    ensure!(seen.digest != Some(wanted.digest()), "a changed file has the hash of the machine that was made before");
    let fields = wanted.sealed_fields();
    let changed = seen.fields.iter().filter(|field| !fields.contains(field));
    let paths: Vec<_> = changed.map(|field| field.path.as_str()).collect();
    ensure_eq!(paths, ["env.ROLE", "hostname"], "the fields that differ are");
    Ok(())
}

async fn values_of_the_environment_are_sealed(stage: &Stage<'_>) -> Outcome {
    const SECRET: &str = "tr0ub4dor-and-3";
    let mut machine = stage.machine("discreet");
    machine.env.insert("PASSWORD".to_owned(), SECRET.to_owned());
    stage.up(&machine).await?;
    let seen = stage.provider.observe(&stage.cx, &machine.workspace, ObserveScope::ALL).await?;
    ensure!(!format!("{seen:?}").contains(SECRET), "an observation shows the value of an environment variable");
    let sealed = Field { path: "env.PASSWORD".to_owned(), value: SECRET.to_owned() }.sealed();
    ensure!(stage.seen(&machine).await?.fields.contains(&sealed), "the sealed value is not among the fields");
    let closer = stage.inspected(&machine).await?.fields;
    ensure_eq!(closer, machine.fields(), "the fields at a closer look are");
    Ok(())
}

/// A workspace whose name begins like the fixture's: no pattern may take one for the other.
fn neighbour(stage: &Stage<'_>) -> Name {
    name(&format!("{}x", stage.fixture.workspace))
}

async fn other_workspaces_are_not_seen(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("private").await?;
    let other = stage.provider.observe(&stage.cx, &neighbour(stage), ObserveScope::ALL).await?;
    ensure!(other.machines.is_empty(), "another workspace sees {:?}", other.machines);
    ensure!(other.networks.is_empty(), "another workspace sees {:?}", other.networks);
    let mut elsewhere = reference(&machine);
    elsewhere.workspace = neighbour(stage);
    ensure_eq!(stage.provider.inspect(&stage.cx, &elsewhere).await?, None, "another workspace's closer look shows");
    Ok(())
}

async fn ranges_of_other_workspaces_are_seen(stage: &Stage<'_>) -> Outcome {
    let network = stage.network(0);
    stage.make(&network).await?;
    let other = stage.provider.observe(&stage.cx, &neighbour(stage), ObserveScope::ALL).await?;
    ensure!(
        other.foreign_subnets.contains(&network.subnet),
        "{} is not among {:?}",
        network.subnet,
        other.foreign_subnets
    );
    let own = stage.provider.observe(&stage.cx, &stage.fixture.workspace, ObserveScope::ALL).await?;
    ensure!(!own.foreign_subnets.contains(&network.subnet), "the workspace's own range is called foreign");
    Ok(())
}

async fn workspaces_with_machines_are_known(stage: &Stage<'_>) -> Outcome {
    let mut known = Vec::new();
    let machine = stage.machine("known");
    known.push(stage.provider.workspaces(&stage.cx).await?.contains(&machine.workspace));
    stage.create(&machine).await?;
    known.push(stage.provider.workspaces(&stage.cx).await?.contains(&machine.workspace));
    stage.provider.destroy(&stage.cx, &reference(&machine)).await?;
    known.push(stage.provider.workspaces(&stage.cx).await?.contains(&machine.workspace));
    ensure_eq!(known, [false, true, false], "before, with and after its machine the workspace is known");
    Ok(())
}
