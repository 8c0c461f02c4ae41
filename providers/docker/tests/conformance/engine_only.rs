//! What can only be seen with the engine's own eyes, beside the seam.

use crate::{rootfs, stand::Stand};
use bollard::{
    Docker,
    query_parameters::{ListContainersOptions, ListImagesOptions, ListVolumesOptions},
};
use futures_util::{StreamExt, stream};
use rig_model::{Attachment, Digest, Idiom, MachineId, Name, ResolvedMachine, ResolvedNetwork, usable};
use rig_provider_api::{
    BoxTag, BuildRequest, Context, Exec, ExecEvent, ExecRequest, Images, MachineRef, Networks, ObserveScope, Provider,
    Snapshots, StopMode, conformance::Fixture,
};
use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    time::Duration,
};

type Outcome = Result<(), Box<dyn Error>>;

/// What is looked at.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    /// A volume that the box asks for and nobody named goes with its machine.
    AnonymousVolumes,
    /// No label of a container, nor of a snapshot, holds the value of an environment variable.
    Labels,
    /// What is in a volume that nobody named belongs to a snapshot, and all of a snapshot goes.
    Snapshots,
}

impl Look {
    pub(crate) const ALL: [Self; 3] = [Self::AnonymousVolumes, Self::Labels, Self::Snapshots];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AnonymousVolumes => "engine::anonymous_volumes_go_with_their_machine",
            Self::Labels => "engine::no_label_holds_a_secret",
            Self::Snapshots => "engine::snapshots_hold_anonymous_volumes_and_leave_nothing",
        }
    }

    /// Looks, and removes what was made for it.
    pub(crate) async fn run(self, stand: &Stand, fixture: &Fixture) -> Outcome {
        let cx = Context::alone(Duration::from_secs(60));
        let docker = Docker::connect_with_host(&stand.provider.address().uri())?.negotiate_version().await?;
        let network = ResolvedNetwork {
            topology: Name::new("looks")?,
            name: Name::new("front")?,
            subnet: fixture.subnets[0],
            internal: false,
        };
        stand.provider.create_network(&cx, &fixture.workspace, &network).await?;
        let machine = machine(stand, fixture, &network)?;
        let result = match self {
            Self::AnonymousVolumes => anonymous_volumes(stand, &cx, &docker, fixture, machine).await,
            Self::Labels => labels(stand, &cx, &docker, machine).await,
            Self::Snapshots => snapshots(stand, &cx, &docker, fixture, machine).await,
        };
        for snapshot in stand.provider.list_snapshots(&cx, &fixture.workspace).await? {
            let machine = MachineRef { workspace: fixture.workspace.clone(), id: snapshot.machine };
            stand.provider.delete(&cx, &machine, &snapshot.name).await?;
        }
        let there = stand.provider.observe(&cx, &fixture.workspace, ObserveScope::ALL).await?;
        for machine in there.machines {
            let machine = MachineRef { workspace: fixture.workspace.clone(), id: machine.id };
            stand.provider.destroy(&cx, &machine).await?;
        }
        for network in there.networks {
            stand.provider.remove_network(&cx, &network.native).await?;
        }
        for there in there.boxes.into_iter().filter(|there| there.name == fixture.workspace) {
            stand.provider.remove(&cx, &there.image).await?;
        }
        result
    }
}

fn machine(stand: &Stand, fixture: &Fixture, network: &ResolvedNetwork) -> Result<ResolvedMachine, Box<dyn Error>> {
    let name = Name::new("seen")?;
    Ok(ResolvedMachine {
        workspace: fixture.workspace.clone(),
        id: MachineId::new(network.topology.clone(), name.clone()),
        group: name,
        index: None,
        role: None,
        idiom: Idiom::Immutable,
        provider: stand.provider.id().clone(),
        box_name: fixture.box_name.clone(),
        image: fixture.image.clone(),
        flavor: None,
        hostname: "seen".to_owned(),
        networks: vec![Attachment { network: network.name.clone(), ip: usable(&network.subnet).next() }],
        command: fixture.long_running.clone(),
        env: BTreeMap::new(),
        host_env: BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        limits: rig_model::Limits::default(),
        security: rig_model::Security::default(),
        restart: rig_model::RestartPolicy::No,
        stop_timeout: Duration::from_secs(10),
        options: Vec::new(),
    })
}

fn reference(machine: &ResolvedMachine) -> MachineRef {
    MachineRef { workspace: machine.workspace.clone(), id: machine.id.clone() }
}

/// The identifier of a machine's container.
async fn native(stand: &Stand, cx: &Context, machine: &ResolvedMachine) -> Result<String, Box<dyn Error>> {
    let seen = stand.provider.inspect(cx, &reference(machine)).await?;
    Ok(seen.ok_or("the machine is not there")?.native)
}

/// Builds a box that asks for a volume, and makes the machine one of it.
async fn with_anonymous_volume(
    stand: &Stand,
    cx: &Context,
    fixture: &Fixture,
    machine: &mut ResolvedMachine,
) -> Outcome {
    let name = fixture.workspace.clone();
    let digest = Digest::of(name.as_str().as_bytes());
    let tag = BoxTag {
        image: stand.provider.reference(&name, &digest),
        name,
        digest,
        parent: Some(fixture.box_name.clone()),
    };
    machine.image.clone_from(&tag.image);
    let context = rootfs::context("ARG RIG_FROM\nFROM ${RIG_FROM}\nVOLUME /var/anonymous\n");
    let args = vec![("RIG_FROM".to_owned(), fixture.image.clone())];
    let request = BuildRequest { tag, context: stream::iter([Ok(context)]).boxed(), args, no_cache: false };
    Ok(stand.provider.build(cx, request).await?)
}

/// The volume of a machine that nobody named.
async fn volume_of(
    stand: &Stand,
    cx: &Context,
    docker: &Docker,
    machine: &ResolvedMachine,
) -> Result<String, Box<dyn Error>> {
    let details = docker.inspect_container(&native(stand, cx, machine).await?, None).await?;
    let mounts = details.mounts.unwrap_or_default();
    Ok(mounts.into_iter().find_map(|mount| mount.name).ok_or("the box's volume was not made")?)
}

async fn anonymous_volumes(
    stand: &Stand,
    cx: &Context,
    docker: &Docker,
    fixture: &Fixture,
    mut machine: ResolvedMachine,
) -> Outcome {
    with_anonymous_volume(stand, cx, fixture, &mut machine).await?;
    stand.provider.create(cx, &machine).await?;
    stand.provider.start(cx, &reference(&machine)).await?;
    let volume = volume_of(stand, cx, docker, &machine).await?;
    docker.inspect_volume(&volume).await?;
    stand.provider.destroy(cx, &reference(&machine)).await?;
    match docker.inspect_volume(&volume).await {
        Ok(_) => Err(format!("volume {volume} outlived its machine").into()),
        Err(_) => Ok(()),
    }
}

async fn labels(stand: &Stand, cx: &Context, docker: &Docker, mut machine: ResolvedMachine) -> Outcome {
    const SECRET: &str = "correct-horse-battery";
    machine.env.insert("PASSWORD".to_owned(), SECRET.to_owned());
    stand.provider.create(cx, &machine).await?;
    stand.provider.save(cx, &reference(&machine), &Name::new("first")?).await?;
    let details = docker.inspect_container(&native(stand, cx, &machine).await?, None).await?;
    let of_container = details.config.and_then(|config| config.labels).unwrap_or_default();
    let options = ListImagesOptions { filters: labelled(&machine), ..Default::default() };
    let of_image = docker.list_images(Some(options)).await?.pop().ok_or("the snapshot has no image")?.labels;
    match of_container.iter().chain(&of_image).find(|(_, value)| value.contains(SECRET)) {
        Some((label, _)) => Err(format!("label {label} holds the value of an environment variable").into()),
        None => Ok(()),
    }
}

async fn snapshots(
    stand: &Stand,
    cx: &Context,
    docker: &Docker,
    fixture: &Fixture,
    mut machine: ResolvedMachine,
) -> Outcome {
    const FILE: &str = "/var/anonymous/file";
    with_anonymous_volume(stand, cx, fixture, &mut machine).await?;
    let (reference, name) = (reference(&machine), Name::new("first")?);
    stand.provider.create(cx, &machine).await?;
    stand.provider.start(cx, &reference).await?;
    shell(stand, cx, &reference, &format!("echo kept > {FILE}")).await?;
    stand.provider.save(cx, &reference, &name).await?;
    shell(stand, cx, &reference, &format!("echo lost > {FILE}; echo lost > {FILE}2")).await?;
    let before = volume_of(stand, cx, docker, &machine).await?;
    stand.provider.restore(cx, &reference, &name).await?;
    stand.provider.start(cx, &reference).await?;
    shell(stand, cx, &reference, &format!("read word < {FILE}; [ $word = kept ] && [ ! -e {FILE}2 ]")).await?;
    let after = volume_of(stand, cx, docker, &machine).await?;
    if docker.inspect_volume(&before).await.is_ok() {
        return Err("the old machine's volume outlived it".into());
    }
    // The engine goes on with what was cut, and the next save is at the same.
    let cut = Name::new("cut")?;
    for moment in [100, 200, 300, 400] {
        let save = stand.provider.save(cx, &reference, &cut);
        let _ = tokio::time::timeout(Duration::from_millis(moment), save).await;
        // Refused where the engine was done after all.
        let _ = stand.provider.save(cx, &reference, &cut).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        stand.provider.delete(cx, &reference, &cut).await?;
    }
    // While the machine lives from it, the image is there, and is no snapshot.
    stand.provider.delete(cx, &reference, &name).await?;
    stand.provider.stop(cx, &reference, StopMode::Kill).await?;
    stand.provider.start(cx, &reference).await?;
    stand.provider.destroy(cx, &reference).await?;
    if docker.inspect_volume(&after).await.is_ok() {
        return Err("the restored machine's volume outlived it".into());
    }
    let images = ListImagesOptions { all: true, filters: labelled(&machine), ..Default::default() };
    let images = docker.list_images(Some(images)).await?;
    let volumes = ListVolumesOptions { filters: labelled(&machine) };
    let volumes = docker.list_volumes(Some(volumes)).await?.volumes.unwrap_or_default();
    let containers = ListContainersOptions { all: true, filters: labelled(&machine), ..Default::default() };
    let containers = docker.list_containers(Some(containers)).await?;
    if images.is_empty() && volumes.is_empty() && containers.is_empty() {
        return Ok(());
    }
    Err(format!("left are {images:?}, {volumes:?}, {containers:?}").into())
}

/// What carries the label of a machine's workspace.
fn labelled(machine: &ResolvedMachine) -> Option<HashMap<String, Vec<String>>> {
    Some(HashMap::from([("label".to_owned(), vec![format!("rig.workspace={}", machine.workspace)])]))
}

/// Runs a line that must end with 0.
async fn shell(stand: &Stand, cx: &Context, machine: &MachineRef, line: &str) -> Outcome {
    let request = ExecRequest { command: Fixture::shell(line), ..ExecRequest::default() };
    let session = Exec::exec(&stand.provider, cx, machine, &request).await?;
    let events: Vec<_> = session.events.collect().await;
    match events.into_iter().next_back() {
        Some(Ok(ExecEvent::Exit(0))) => Ok(()),
        end => Err(format!("{line:?} ended with {end:?}").into()),
    }
}
