//! What can only be seen with the engine's own eyes, beside the seam.

use crate::{rootfs, stand::Stand};
use bollard::Docker;
use futures_util::{StreamExt, stream};
use rig_model::{Attachment, Digest, Idiom, MachineId, Name, ResolvedMachine, ResolvedNetwork, usable};
use rig_provider_api::{
    BoxTag, BuildRequest, Context, Images, MachineRef, Networks, ObserveScope, Provider, conformance::Fixture,
};
use std::{collections::BTreeMap, error::Error, time::Duration};

type Outcome = Result<(), Box<dyn Error>>;

/// What is looked at.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    /// A volume that the box asks for and nobody named goes with its machine.
    AnonymousVolumes,
    /// No label of a container holds the value of an environment variable.
    Labels,
}

impl Look {
    pub(crate) const ALL: [Self; 2] = [Self::AnonymousVolumes, Self::Labels];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AnonymousVolumes => "engine::anonymous_volumes_go_with_their_machine",
            Self::Labels => "engine::no_label_holds_a_secret",
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
        };
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

async fn anonymous_volumes(
    stand: &Stand,
    cx: &Context,
    docker: &Docker,
    fixture: &Fixture,
    mut machine: ResolvedMachine,
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
    stand.provider.build(cx, request).await?;

    stand.provider.create(cx, &machine).await?;
    stand.provider.start(cx, &reference(&machine)).await?;
    let details = docker.inspect_container(&native(stand, cx, &machine).await?, None).await?;
    let mounts = details.mounts.unwrap_or_default();
    let volume = mounts.into_iter().find_map(|mount| mount.name).ok_or("the box's volume was not made")?;
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
    let details = docker.inspect_container(&native(stand, cx, &machine).await?, None).await?;
    let labels = details.config.and_then(|config| config.labels).unwrap_or_default();
    match labels.iter().find(|(_, value)| value.contains(SECRET)) {
        Some((label, _)) => Err(format!("label {label} holds the value of an environment variable").into()),
        None => Ok(()),
    }
}
