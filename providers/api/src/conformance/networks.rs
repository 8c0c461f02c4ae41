//! Networks, addresses, names.

use super::{
    Case, Fixture, Outcome,
    case::{Failure, case, ensure, ensure_eq},
    stage::{PAUSE, Stage, reference},
};
use crate::{LogRequest, StopMode};
use rig_model::{Attachment, MachineState, ResolvedMachine};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(creating_twice_is_creating_once, Networks),
        case!(creating_twice_at_once_is_creating_once, Networks),
        case!(another_range_is_refused_and_left_alone, Networks),
        case!(removing_what_is_absent_succeeds, Networks),
        case!(address_and_host_name_are_there_when_process_one_begins, Networks, Logs, Service),
        case!(every_address_is_there_when_process_one_begins, Networks, Logs, Real, Service),
        case!(addresses_stay_across_a_stop, Networks, Exec),
        case!(neighbours_are_found_by_name, Networks, Exec, Real),
        case!(another_network_is_out_of_reach, Networks, Exec, Real, Service),
        case!(an_internal_network_is_seen_as_one, Networks, Internal),
    ]
}

async fn creating_twice_is_creating_once(stage: &Stage<'_>) -> Outcome {
    let network = stage.network(0);
    stage.make(&network).await?;
    stage.make(&network).await?;
    let seen = stage.seen_networks().await?;
    ensure_eq!(seen.len(), 1, "networks after creating one twice");
    ensure_eq!(
        (&seen[0].topology, &seen[0].name, seen[0].subnet, seen[0].internal),
        (&network.topology, &network.name, Some(network.subnet), false),
        "the network is"
    );
    Ok(())
}

async fn creating_twice_at_once_is_creating_once(stage: &Stage<'_>) -> Outcome {
    let network = stage.network(0);
    let (first, second) = tokio::join!(stage.make(&network), stage.make(&network));
    first?;
    second?;
    ensure_eq!(stage.seen_networks().await?.len(), 1, "networks after creating one twice at the same time");
    Ok(())
}

async fn another_range_is_refused_and_left_alone(stage: &Stage<'_>) -> Outcome {
    let network = stage.network(0);
    stage.make(&network).await?;
    let before = stage.seen_networks().await?;
    let mut other = network.clone();
    other.subnet = stage.fixture.subnets[1];
    ensure!(stage.make(&other).await.is_err(), "a network of the same name with another range was taken for it");
    ensure_eq!(stage.seen_networks().await?, before, "the networks are now");
    Ok(())
}

async fn removing_what_is_absent_succeeds(stage: &Stage<'_>) -> Outcome {
    stage.make(&stage.network(0)).await?;
    let native = stage.seen_networks().await?.remove(0).native;
    for _ in 0..2 {
        stage.networks()?.remove_network(&stage.cx, &native).await?;
        ensure_eq!(stage.seen_networks().await?, [], "after its removal the networks are");
    }
    Ok(())
}

async fn address_and_host_name_are_there_when_process_one_begins(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("first");
    machine.hostname = "first.example".to_owned();
    machine.command = Fixture::shell("cat /etc/hosts; hostname");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let (log, _) = stage.log(&machine, &LogRequest::default()).await?;
    let line = log.lines().find(|line| line.contains("first.example")).unwrap_or_default();
    let address = machine.networks.iter().find_map(|at| at.ip).map(|ip| ip.to_string()).unwrap_or_default();
    ensure_eq!(line.split_whitespace().next().unwrap_or_default(), address, "process 1 found for its own name");
    ensure_eq!(log.lines().last().unwrap_or_default(), "first.example", "process 1 found as its host name");
    Ok(())
}

async fn every_address_is_there_when_process_one_begins(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("wide");
    machine.networks.push(stage.attachment(1));
    machine.command = Fixture::shell("ip -4 -o address");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let (log, _) = stage.log(&machine, &LogRequest::default()).await?;
    for Attachment { network, ip } in &machine.networks {
        let address = ip.map(|ip| format!(" {ip}/")).unwrap_or_default();
        ensure!(log.contains(&address), "process 1 found no address of network {network} ({ip:?}):\n{log}");
    }
    Ok(())
}

async fn addresses_stay_across_a_stop(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("steady");
    machine.networks.push(stage.attachment(1));
    stage.up(&machine).await?;
    let addresses = stage.seen(&machine).await?.addresses;
    ensure_eq!(addresses.len(), 2, "addresses of a machine on two networks");
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    ensure_eq!(
        sorted(stage.seen(&machine).await?.addresses),
        sorted(addresses.clone()),
        "while it is stopped, they are"
    );
    // Another machine comes meanwhile and must not be given the address.
    stage.running("newcomer").await?;
    stage.start(&machine).await?;
    ensure_eq!(sorted(stage.seen(&machine).await?.addresses), sorted(addresses.clone()), "after the start they are");
    let hosts = stage.output(&machine, "cat /etc/hosts").await?;
    ensure!(
        addresses.iter().all(|(_, ip)| hosts.contains(&ip.to_string())),
        "{addresses:?} are not in /etc/hosts:\n{hosts}"
    );
    Ok(())
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// Prints the address of a name, as programs find it: where the library can be asked, names may stand in a file.
fn lookup(name: &str) -> String {
    format!(
        "if command -v getent >/dev/null; then getent ahostsv4 {name} | awk '{{ print $1; exit }}'; else {}; fi",
        asked(name)
    )
}

/// Prints the address of a name as a name server says it, without the name server's own.
fn asked(name: &str) -> String {
    format!("nslookup -type=a {name} | awk '/^Name/ {{ found = 1 }} found && /^Address/ {{ print $NF; exit }}'")
}

async fn neighbours_are_found_by_name(stage: &Stage<'_>) -> Outcome {
    let mut server = stage.machine("scale1");
    server.hostname = "scale1.docker".to_owned();
    let client = stage.machine("scale2");
    stage.up(&client).await?;
    stage.up(&server).await?;
    let address = server.networks.iter().find_map(|at| at.ip).map(|ip| ip.to_string()).unwrap_or_default();
    for name in ["scale1", "scale1.docker"] {
        ensure_eq!(stage.output(&client, &lookup(name)).await?, address, "the address of {name} is");
    }
    // What was stopped and started is found again.
    stage.provider.stop(&stage.cx, &reference(&server), StopMode::Kill).await?;
    stage.start(&server).await?;
    ensure_eq!(stage.output(&client, &lookup("scale1")).await?, address, "after a restart the address of scale1 is");
    Ok(())
}

async fn another_network_is_out_of_reach(stage: &Stage<'_>) -> Outcome {
    let mut server = stage.machine("server");
    server.command.clone_from(&stage.fixture.web);
    stage.up(&server).await?;
    let near = stage.running("near").await?;
    let mut far = stage.machine("far");
    far.networks = vec![stage.attachment(1)];
    stage.up(&far).await?;
    let address = server.networks.iter().find_map(|at| at.ip).map(|ip| ip.to_string()).unwrap_or_default();
    let fetch = format!("timeout 3 wget -q -O - http://{address}:8000/hello");
    ensure_eq!(stage.eventually(&near, &fetch).await?, "hello", "a machine of the same network gets");
    refused(stage, &far, &fetch).await?;
    let found = stage.shell(&far, &lookup("server")).await?.text();
    ensure!(found != address, "a machine of another network finds the name");
    Ok(())
}

/// Fails when a line succeeds several times in a row. Once is no proof that the networks are open to each other: whenever
/// Docker Engine 20.10 makes any network, it takes the jump to its isolation rules out of `FORWARD` and puts it back
/// on top (moby, `EnsureJumpRule`), and the cases that run beside this one make networks all the time.
async fn refused(stage: &Stage<'_>, machine: &ResolvedMachine, line: &str) -> Outcome {
    let mut answer = String::new();
    for _ in 0..3 {
        let ran = stage.shell(machine, line).await?;
        if ran.exit != 0 {
            return Ok(());
        }
        answer = ran.text();
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::new(format!("a machine of another network gets {answer:?}")))
}

async fn an_internal_network_is_seen_as_one(stage: &Stage<'_>) -> Outcome {
    let mut network = stage.network(0);
    network.internal = true;
    stage.make(&network).await?;
    stage.make(&network).await?;
    ensure!(stage.seen_networks().await?.iter().all(|seen| seen.internal), "an internal network is not seen as one");
    network.internal = false;
    ensure!(stage.make(&network).await.is_err(), "an internal network was taken for one that leads outside");
    Ok(())
}
