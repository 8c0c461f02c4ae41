//! What machines have used and what they take on disk.

use super::{
    Case, Failure, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    images, ports,
    stage::{Stage, name, reference},
};
use crate::{DiskUsage, ExecRequest, ImageUsage, MachineUsage, ProviderError, StopMode, Usage};
use rig_model::{Bytes, Mount, ResolvedMachine};
use std::time::Duration;
use tokio::time::Instant;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(work_takes_time_and_memory, Usage, Exec),
        case!(what_comes_from_outside_is_received, Usage, Networks, Dial),
        case!(what_a_neighbour_sends_is_received, Usage, Networks, Exec, Real),
        case!(a_new_start_begins_at_nothing, Usage, Networks, Exec, Real),
        case!(a_machine_that_does_not_run_has_no_counters, Usage),
        case!(written_files_count_for_their_machine, Usage, Exec),
        case!(files_in_volumes_count_as_volumes, Usage, Exec, Volumes),
        case!(machines_of_one_box_share_its_image, Usage),
        case!(boxes_of_one_parent_share_its_layers, Usage, Images),
        case!(what_is_not_there_takes_nothing, Usage),
    ]
}

/// The size of what is written and sent, in bytes.
const SIZE: u64 = Bytes::MIB;

/// How much more than a file itself may be counted for it, in bytes: folders that are made for it.
const AROUND: u64 = 64 << 10;

fn usage<'a>(stage: &Stage<'a>) -> Outcome<&'a dyn Usage> {
    stage.provider.usage().ok_or_else(|| Failure::new("the capability went away"))
}

async fn used(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome<MachineUsage> {
    Ok(usage(stage)?.used(&stage.cx, &reference(machine)).await?)
}

/// What a machine with networks has received.
async fn received(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome<u64> {
    let received = used(stage, machine).await?.received;
    received.map(|bytes| bytes.0).ok_or_else(|| Failure::new("what a machine with a network received is not told"))
}

async fn disk(stage: &Stage<'_>, machines: &[&ResolvedMachine]) -> Outcome<DiskUsage> {
    let machines: Vec<_> = machines.iter().map(|machine| reference(machine)).collect();
    Ok(usage(stage)?.disk(&stage.cx, &machines).await?)
}

/// The only image of an answer.
fn single(disk: DiskUsage) -> Outcome<ImageUsage> {
    let [image] = <[ImageUsage; 1]>::try_from(disk.images)
        .map_err(|images| Failure::new(format!("instead of one image there are {images:?}")))?;
    Ok(image)
}

/// Writes a file of [`SIZE`] into a machine.
async fn write(stage: &Stage<'_>, machine: &ResolvedMachine, path: &str) -> Outcome {
    let command = Fixture::shell(&format!("cat > {path}"));
    let request = ExecRequest { command, stdin: true, ..ExecRequest::default() };
    let ran = stage.exec(machine, &request, &vec![b'x'; SIZE as usize]).await?;
    ensure_eq!(ran.exit, 0, "writing {path} printed {:?}; its exit code", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

async fn work_takes_time_and_memory(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("worker").await?;
    stage.output(&machine, "echo work").await?;
    let before = used(stage, &machine).await?;
    ensure!(!before.cpu.is_zero(), "after work the processor time is zero");
    ensure!(before.memory_peak != Some(Bytes(0)), "the memory's peak is zero");
    for _ in 0..5 {
        stage.output(&machine, "echo more; echo work").await?;
    }
    let after = used(stage, &machine).await?;
    ensure!(after.cpu > before.cpu, "more work left the processor time at {:?}, before {:?}", after.cpu, before.cpu);
    ensure!(
        after.memory_peak >= before.memory_peak,
        "the memory's peak became {:?}, before {:?}",
        after.memory_peak,
        before.memory_peak
    );
    Ok(())
}

async fn what_comes_from_outside_is_received(stage: &Stage<'_>) -> Outcome {
    let machine = ports::web(stage, "server");
    stage.up(&machine).await?;
    let before = received(stage, &machine).await?;
    let answer = ports::get_hello(ports::dial_soon(stage, &machine).await?).await?;
    ensure!(answer.ends_with("hello"), "GET /hello gives {answer:?}");
    let grown = received(stage, &machine).await?.saturating_sub(before);
    ensure!(grown >= "GET /hello".len() as u64, "after a request, {grown} more bytes have been received");
    Ok(())
}

/// Fetches a file of [`SIZE`] from a neighbour.
async fn fetch(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome {
    let server = ports::web(stage, "server");
    stage.up(&server).await?;
    write(stage, &server, "/srv/large").await?;
    let address = server.networks.iter().find_map(|at| at.ip).map(|ip| ip.to_string()).unwrap_or_default();
    let fetch = format!("wget -q -O - http://{address}:8000/large | wc -c");
    let end = Instant::now() + Duration::from_secs(15);
    // The neighbour's server may take a moment until it listens.
    while stage.output(machine, &fetch).await? != SIZE.to_string() {
        ensure!(Instant::now() < end, "the neighbour's file cannot be fetched");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn what_a_neighbour_sends_is_received(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("reader");
    machine.networks.push(stage.attachment(1));
    stage.up(&machine).await?;
    let before = received(stage, &machine).await?;
    fetch(stage, &machine).await?;
    let grown = received(stage, &machine).await?.saturating_sub(before);
    ensure!(grown >= SIZE, "{SIZE} bytes of a neighbour are {grown} received ones");
    Ok(())
}

async fn a_new_start_begins_at_nothing(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("reader").await?;
    fetch(stage, &machine).await?;
    stage.output(&machine, "seq 2000000 > /dev/null").await?;
    let before = used(stage, &machine).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    stage.start(&machine).await?;
    let after = used(stage, &machine).await?;
    ensure!(after.cpu < before.cpu, "before its second start it used {:?}, after it {:?}", before.cpu, after.cpu);
    ensure!(after.received < Some(Bytes(SIZE)), "after its second start it has received {:?}", after.received);
    Ok(())
}

async fn a_machine_that_does_not_run_has_no_counters(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("sleeper");
    let (usage, reference) = (usage(stage)?, reference(&machine));
    let absent = usage.used(&stage.cx, &reference).await;
    ensure!(matches!(absent, Err(ProviderError::Absent { .. })), "of one that is not there the answer is {absent:?}");
    stage.create(&machine).await?;
    refuses(&usage.used(&stage.cx, &reference).await, "created")?;
    stage.start(&machine).await?;
    usage.used(&stage.cx, &reference).await?;
    stage.provider.stop(&stage.cx, &reference, StopMode::Kill).await?;
    refuses(&usage.used(&stage.cx, &reference).await, "exited")
}

/// An answer must be an error that names the machine's state.
fn refuses(answer: &crate::Result<MachineUsage>, state: &str) -> Outcome {
    let told = matches!(answer, Err(error @ ProviderError::Failed { .. }) if error.to_string().contains(state));
    ensure!(told, "of a machine that is {state} the answer is {answer:?}");
    Ok(())
}

async fn written_files_count_for_their_machine(stage: &Stage<'_>) -> Outcome {
    let (writer, other) = (stage.running("writer").await?, stage.running("other").await?);
    let of = |disk: &DiskUsage, machine: &ResolvedMachine| disk.written.get(&machine.id).map(|bytes| bytes.0);
    let before = disk(stage, &[&writer, &other]).await?;
    write(stage, &writer, "/written").await?;
    let after = disk(stage, &[&writer, &other]).await?;
    let (old, new) = (of(&before, &writer), of(&after, &writer));
    let grown = new.zip(old).map(|(new, old)| new.saturating_sub(old)).unwrap_or_default();
    ensure!((SIZE..SIZE + AROUND).contains(&grown), "a file of {SIZE} bytes made {new:?} of {old:?} written ones");
    ensure!(of(&after, &other).is_some_and(|bytes| bytes < SIZE), "the other's are {:?}", of(&after, &other));
    ensure_eq!(after.volumes.get(&writer.id), Some(&Bytes(0)), "a machine without volumes has in volumes");
    stage.provider.stop(&stage.cx, &reference(&writer), StopMode::Kill).await?;
    let stopped = of(&disk(stage, &[&writer]).await?, &writer);
    ensure!(stopped.is_some_and(|bytes| bytes >= SIZE), "after it has stopped, there are {stopped:?} written bytes");
    Ok(())
}

async fn files_in_volumes_count_as_volumes(stage: &Stage<'_>) -> Outcome {
    let mut keeper = stage.machine("keeper");
    for volume in ["data", "more"] {
        keeper.mounts.push(Mount::Volume { name: name(volume), target: format!("/{volume}") });
    }
    stage.up(&keeper).await?;
    let mut other = stage.machine("other");
    other.mounts.push(Mount::Volume { name: name("data"), target: "/data".to_owned() });
    stage.up(&other).await?;
    write(stage, &keeper, "/data/kept").await?;
    write(stage, &keeper, "/more/kept").await?;
    let there = disk(stage, &[&keeper, &other]).await?;
    let volumes = |machine: &ResolvedMachine| there.volumes.get(&machine.id).map(|bytes| bytes.0);
    ensure!(
        volumes(&keeper).is_some_and(|bytes| (2 * SIZE..2 * SIZE + AROUND).contains(&bytes)),
        "two files of {SIZE} bytes are {:?} in volumes",
        volumes(&keeper)
    );
    ensure!(volumes(&other).is_some_and(|bytes| bytes < SIZE), "in the other's volumes are {:?}", volumes(&other));
    let written = there.written.get(&keeper.id);
    ensure!(written.is_some_and(|bytes| bytes.0 < SIZE), "outside of its volumes it has {written:?}");
    Ok(())
}

async fn machines_of_one_box_share_its_image(stage: &Stage<'_>) -> Outcome {
    let (first, second) = (stage.machine("first"), stage.machine("second"));
    stage.create(&first).await?;
    stage.create(&second).await?;
    let there = disk(stage, &[&first, &second]).await?;
    ensure!(!there.storage_driver.is_empty(), "how layers are stored is not told");
    let image = single(there)?;
    ensure_eq!(image.machines, [first.id.clone(), second.id.clone()], "its machines are");
    let sum: u64 = image.layers.iter().map(|layer| layer.bytes.0).sum();
    ensure!(sum > 0, "the layers take nothing: {:?}", image.layers);
    Ok(())
}

async fn boxes_of_one_parent_share_its_layers(stage: &Stage<'_>) -> Outcome {
    let parent = images::import(stage).await?;
    let mut machines = Vec::new();
    for (child, steps) in [("left", "RUN seq 10000 > /left\nWORKDIR /made"), ("right", "RUN seq 20000 > /right")] {
        let dockerfile = format!("ARG RIG_FROM\nFROM ${{RIG_FROM}}\nENV SIDE={child}\n{steps}\n");
        let tag = images::build(stage, &stage.cx, &format!("-{child}"), &parent, &dockerfile).await?;
        let mut machine = stage.machine(child);
        machine.image = tag.image;
        stage.create(&machine).await?;
        machines.push(machine);
    }
    let mut machine = stage.machine("parent");
    machine.image.clone_from(&parent.image);
    stage.create(&machine).await?;
    let below = single(disk(stage, &[&machine]).await?)?.layers;
    let there = disk(stage, &machines.iter().chain([&machine]).collect::<Vec<_>>()).await?;
    let [left, right, own] = there.images.as_slice() else {
        return Err(Failure::new(format!("the images of three boxes are {:?}", there.images)));
    };
    ensure_eq!(own.layers, below, "beside its children the parent's layers are");
    for child in [left, right] {
        ensure!(child.layers.len() > below.len(), "a child has the layers {:?} on {below:?}", child.layers);
        ensure_eq!(child.layers[..below.len()], below, "a child's lowest layers are");
    }
    let other = |id: &String| right.layers.iter().any(|layer| layer.id == *id);
    ensure!(!left.layers[below.len()..].iter().any(|layer| other(&layer.id)), "{left:?} and {right:?} share more");
    Ok(())
}

async fn what_is_not_there_takes_nothing(stage: &Stage<'_>) -> Outcome {
    ensure_eq!(disk(stage, &[]).await?.images, [], "the images of no machine are");
    let (there, absent) = (stage.machine("there"), stage.machine("absent"));
    stage.create(&there).await?;
    let disk = disk(stage, &[&absent, &there]).await?;
    ensure_eq!(disk.written.keys().collect::<Vec<_>>(), [&there.id], "machines that have written are");
    ensure_eq!(disk.volumes.keys().collect::<Vec<_>>(), [&there.id], "machines with volumes are");
    ensure_eq!(single(disk)?.machines, std::slice::from_ref(&there.id), "the image's machines are");
    Ok(())
}
