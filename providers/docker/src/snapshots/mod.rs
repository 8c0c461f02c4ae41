//! Snapshots: the container's own layer as an image, the contents of its volumes in volumes.
//!
//! The image is made last and carries everything else that is known of the snapshot, as labels: a snapshot is there when its
//! image is. Its volumes have its labels; those without an image are what a save has left that was cut.

mod carry;
mod form;
mod freeze;
mod past;
mod remains;

use crate::{
    DockerProvider, error,
    labels::{self, Labels, beside},
    provider::provider_id,
};
use async_trait::async_trait;
use bollard::{
    models::{
        ContainerConfig, ContainerInspectResponse, ContainerStateStatusEnum, ImageInspect, NetworkConnectRequest,
        Volume, VolumeCreateRequest,
    },
    query_parameters::{
        CommitContainerOptions, InspectContainerOptions, ListImagesOptions, ListVolumesOptions, RemoveImageOptions,
        RenameContainerOptions,
    },
};
use carry::Carry;
use form::Form;
use freeze::Frozen;
use futures_util::future;
use jiff::Timestamp;
use rig_model::{Bytes, MachineId, Name, ObservedSnapshot, Progress, TakenSnapshot};
use rig_provider_api::{Context, MachineRef, PathChange, ProviderError, Result, Snapshots};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

/// The state of a machine that ran when its snapshot was taken.
const RUNNING: &str = "running";
/// Of one that had never been started.
const CREATED: &str = "created";
/// Of one that had ended; the exit code follows.
pub(crate) const EXITED: &str = "exited:";

/// The repository of a machine's snapshots. `localhost` keeps an engine from asking a public registry for it.
fn repository(machine: &MachineRef) -> String {
    format!("localhost/rig-snapshot/{}/{}/{}", machine.workspace, machine.id.topology, machine.id.machine)
}

/// The reference of a snapshot's image.
fn reference(machine: &MachineRef, name: &Name) -> String {
    format!("{}:{name}", repository(machine))
}

/// The image of a container's box; of a container that was made from a snapshot, that of the box below.
pub(crate) fn base(details: &ContainerInspectResponse) -> Option<String> {
    let labels = details.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels::text(labels, labels::BASE)).map(str::to_owned).or_else(|| details.image.clone())
}

#[async_trait]
impl Snapshots for DockerProvider {
    async fn save(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<TakenSnapshot> {
        let doing = format!("saving snapshot {name} of machine {machine}");
        let container = Self::container(machine);
        let look = async {
            let details = self.docker.inspect_container(&container, Some(InspectContainerOptions { size: true })).await;
            let details = details.map_err(|error| error::failure(&doing, &container, error))?;
            if self.image(&doing, &reference(machine, name)).await?.is_some() {
                let why = format!("machine {machine} has a snapshot {name} already");
                return Err(ProviderError::failed(&doing, why)
                    .hinted(format!("`rig snapshot save --force {name} {machine}` replaces it")));
            }
            // What a save of this name has left that was cut.
            self.drop_volumes(&doing, machine, name).await?;
            Ok(details)
        };
        let details = cx.run(&doing, look).await?;
        let status = details.state.as_ref().and_then(|state| state.status);
        let mut frozen = Frozen::new(&self.docker, &container, status == Some(ContainerStateStatusEnum::PAUSED));
        let take = async {
            let state = state(&details).ok_or_else(|| ProviderError::failed(&doing, "it is beyond use"))?;
            if status == Some(ContainerStateStatusEnum::RUNNING) {
                frozen.freeze(&doing).await?;
            }
            self.take(cx, &doing, machine, name, (&details, &state)).await
        };
        let taken = cx.run(&doing, Box::pin(take)).await;
        // Whatever became of it, and before anybody is told.
        frozen.thaw(&doing).await.and(taken)
    }

    async fn restore(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let doing = format!("restoring machine {machine} to snapshot {name}");
        let container = Self::container(machine);
        let restore = async {
            let image = self.image(&doing, &reference(machine, name)).await?;
            let image = image.ok_or_else(|| {
                ProviderError::failed(&doing, format!("machine {machine} has no snapshot {name}"))
                    .hinted("`rig snapshot list` shows which there are")
            })?;
            let (id, labels) = parts(image);
            let form = read_form(&labels).map_err(|why| ProviderError::failed(&doing, why))?;
            let volumes = self.volumes_of(&doing, machine, name).await?;
            if let Some(target) = form.volume_targets().find(|target| !volumes.contains_key(*target)) {
                return Err(ProviderError::failed(&doing, format!("the copy of its volume at {target} is gone")));
            }
            self.must_have_networks(&doing, &form).await?;
            // Whatever else stands in its way, a folder of the host that is gone for instance, is found out on a container
            // that is not needed.
            let trial = format!("{container}{}", beside::LOOK);
            let made = self.make(&doing, &trial, &id, &form).await;
            self.discard(&doing, &trial).await?;
            made?;

            // From here on the machine is not what it was. It is whole again when its container has its name back.
            cx.progress(Progress::step("removing what is there"));
            let remains = self.remains(&doing, machine).await?;
            self.discard(&doing, &container).await?;
            self.clear(&doing, remains).await?;
            for volume in form.named_volumes() {
                self.drop_volume(&doing, volume).await?;
            }
            cx.progress(Progress::step("making it anew"));
            let new = format!("{container}{}", beside::RESTORE);
            self.make(&doing, &new, &id, &form).await?;
            let details = self.docker.inspect_container(&new, None).await;
            let details = details.map_err(|error| error::failure(&doing, &new, error))?;
            let carry = form::volumes(&details).filter_map(|(to, target)| {
                let from = volumes.get(&target)?.name.clone();
                Some(Carry { from, to, target })
            });
            let own = labels::of_snapshot(&machine.workspace, &machine.id, name);
            self.carry(cx, &doing, (&container, &id, &own), &carry.collect::<Vec<_>>()).await?;
            let renamed = self.docker.rename_container(&new, RenameContainerOptions { name: container.clone() }).await;
            renamed.map_err(|error| error::failure(&doing, &new, error))
        };
        cx.run(&doing, Box::pin(restore)).await
    }

    async fn list_snapshots(&self, cx: &Context, workspace: &Name) -> Result<Vec<ObservedSnapshot>> {
        let doing = "listing snapshots";
        cx.run(doing, async {
            let filter = filters([(labels::WORKSPACE, workspace.as_str()), (labels::SNAPSHOT, "")]);
            let images = async {
                let options = ListImagesOptions { filters: Some(filter.clone()), ..Default::default() };
                self.docker.list_images(Some(options)).await.map_err(|error| error::failure(doing, "", error))
            };
            let (images, volumes) = future::try_join(images, self.list_volumes(doing, filter.clone())).await?;
            // How many volumes what has which name has. Those of complete snapshots are taken out again.
            let mut counts: BTreeMap<(MachineId, Name), usize> = BTreeMap::new();
            for owner in volumes.iter().filter_map(|volume| owner(&volume.labels)) {
                *counts.entry(owner).or_default() += 1;
            }
            let unnamed = images.iter().filter(|image| remains::is_unnamed(&image.repo_tags));
            for owner in unnamed.filter_map(|image| owner(&image.labels)) {
                counts.entry(owner).or_default();
            }
            let mut snapshots = Vec::new();
            for image in images {
                let Some((id, name)) = owner(&image.labels) else { continue };
                let machine = MachineRef { workspace: workspace.clone(), id };
                // Another one took the name, or a machine goes on from an image whose snapshot was deleted.
                if !image.repo_tags.contains(&reference(&machine, &name)) {
                    continue;
                }
                let volumes = counts.remove(&(machine.id.clone(), name.clone())).unwrap_or_default();
                let made = Timestamp::from_second(image.created).unwrap_or_default();
                let taken = taken(&machine, &image.labels, volumes, made);
                snapshots.push(ObservedSnapshot {
                    machine: machine.id,
                    name,
                    provider: provider_id(),
                    taken: Some(taken),
                });
            }
            let left = counts.into_keys().map(|(machine, name)| {
                let provider = provider_id();
                ObservedSnapshot { machine, name, provider, taken: None }
            });
            Ok(snapshots.into_iter().chain(left).collect())
        })
        .await
    }

    async fn delete(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let doing = format!("deleting snapshot {name} of machine {machine}");
        let container = Self::container(machine);
        cx.run(&doing, async {
            for end in [beside::FROM, beside::TO, beside::LOOK] {
                self.discard(&doing, &format!("{container}{end}")).await?;
            }
            let image = reference(machine, name);
            match self.docker.remove_image(&image, None::<RemoveImageOptions>, None).await {
                Ok(_) => {}
                Err(error) if error::is_absent(&error) => {}
                // The machine was restored from it and goes on: under another name the image is no snapshot any more, and
                // goes with the machine.
                Err(error) if error::is_conflict(&error) => self.keep(&doing, machine, &image).await?,
                Err(error) => return Err(error::failure(&doing, &image, error)),
            }
            self.drop_volumes(&doing, machine, name).await?;
            self.drop_strays(&doing, machine, name).await
        })
        .await
    }
}

/// Taking and making.
impl DockerProvider {
    /// Copies the volumes and commits the container, which does not change meanwhile.
    async fn take(
        &self,
        cx: &Context,
        doing: &str,
        machine: &MachineRef,
        name: &Name,
        (details, state): (&ContainerInspectResponse, &str),
    ) -> Result<TakenSnapshot> {
        let container = Self::container(machine);
        let image = details.image.clone().unwrap_or_default();
        let own = labels::of_snapshot(&machine.workspace, &machine.id, name);
        let changes = self.changes_of(doing, &container, details).await?;
        let changes = past::pack(&changes).map_err(|error| ProviderError::failed(doing, error))?;
        let mut volumes = Vec::new();
        for (number, (from, target)) in form::volumes(details).enumerate() {
            let to = format!("{container}.{name}.{number}");
            let mut labels = own.clone();
            labels.insert(labels::TARGET.to_owned(), target.clone());
            let request =
                VolumeCreateRequest { name: Some(to.clone()), labels: Some(labels), ..VolumeCreateRequest::default() };
            let made = self.docker.create_volume(request).await;
            made.map_err(|error| error::failure(doing, &to, error))?;
            volumes.push(Carry { from, to, target });
        }
        let carried = self.carry(cx, doing, (&container, &image, &own), &volumes).await?;
        cx.progress(Progress::step("committing its own layer"));
        let layer = details.size_rw.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        let form = serde_json::to_string(&Form::of(details)).map_err(|error| ProviderError::failed(doing, error))?;
        let now = Timestamp::now();
        let mut labels = own;
        labels.extend(
            [
                (labels::TAKEN, now.to_string()),
                (labels::STATE, state.to_owned()),
                (labels::BYTES, (layer + carried).to_string()),
                (labels::BASE, base(details).unwrap_or_default()),
                (labels::CONTAINER, form),
                (labels::CHANGES, changes),
            ]
            .map(|(label, value)| (label.to_owned(), value)),
        );
        let options = CommitContainerOptions {
            container: Some(container.clone()),
            repo: Some(repository(machine)),
            tag: Some(name.to_string()),
            // It is frozen already, if it runs.
            pause: false,
            ..CommitContainerOptions::default()
        };
        let config = ContainerConfig { labels: Some(labels.clone()), ..ContainerConfig::default() };
        let committed = self.docker.commit_container(options, config).await;
        committed.map_err(|error| error::failure(doing, &container, error))?;
        self.drop_strays(doing, machine, name).await?;
        // The machine's hash is on its container, and so on the image too.
        let container_labels = details.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
        let all: Labels = container_labels.into_iter().chain(labels).collect();
        Ok(taken(machine, &all, volumes.len(), now))
    }

    /// Makes the container of a snapshot, with empty volumes.
    async fn make(&self, doing: &str, container: &str, image: &str, form: &Form) -> Result<()> {
        self.create_beside(doing, container, form.body(image.to_owned())).await?;
        for (network, endpoint) in form.other_networks() {
            let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(endpoint) };
            let connected = self.docker.connect_network(network, request).await;
            connected.map_err(|error| error::failure(doing, network, error))?;
        }
        Ok(())
    }

    /// A machine cannot be made on a network that is gone: said before anything is touched.
    async fn must_have_networks(&self, doing: &str, form: &Form) -> Result<()> {
        for network in form.networks() {
            if let Err(error) = self.docker.inspect_network(network, None).await {
                return Err(if error::is_absent(&error) {
                    ProviderError::failed(doing, format!("its network {network} is not there"))
                        .hinted("`rig up` makes the topology's networks")
                } else {
                    error::failure(doing, network, error)
                });
            }
        }
        Ok(())
    }

    /// What a container has otherwise than its box, when it has `changes` otherwise than its image.
    pub(crate) async fn since_box(
        &self,
        doing: &str,
        details: &ContainerInspectResponse,
        changes: Vec<PathChange>,
    ) -> Result<Vec<PathChange>> {
        let labels = details.config.as_ref().and_then(|config| config.labels.as_ref());
        if labels.is_none_or(|labels| labels::text(labels, labels::SNAPSHOT).is_none()) {
            return Ok(changes);
        }
        let unknown = |why: &dyn Display| {
            ProviderError::failed(doing, format!("what its snapshot had otherwise than the box is not known: {why}"))
        };
        let image = details.image.clone().unwrap_or_default();
        let image = self.image(doing, &image).await?.ok_or_else(|| unknown(&"its image is gone"))?;
        let (_, labels) = parts(image);
        let packed = labels::text(&labels, labels::CHANGES).ok_or_else(|| unknown(&"its image has no list"))?;
        Ok(past::merge(past::unpack(packed).map_err(|error| unknown(&error))?, changes))
    }
}

/// Finding.
impl DockerProvider {
    /// An image; `None` when there is none.
    async fn image(&self, doing: &str, name: &str) -> Result<Option<ImageInspect>> {
        match self.docker.inspect_image(name).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if error::is_absent(&error) => Ok(None),
            Err(error) => Err(error::failure(doing, name, error)),
        }
    }

    /// The volumes of a snapshot by the places where they were mounted.
    async fn volumes_of(&self, doing: &str, machine: &MachineRef, name: &Name) -> Result<HashMap<String, Volume>> {
        let volumes = self.list_volumes(doing, filters_of(machine, name)).await?;
        let target = |volume: Volume| Some((volume.labels.get(labels::TARGET)?.clone(), volume));
        Ok(volumes.into_iter().filter_map(target).collect())
    }

    async fn list_volumes(&self, doing: &str, filters: HashMap<String, Vec<String>>) -> Result<Vec<Volume>> {
        let list = self.docker.list_volumes(Some(ListVolumesOptions { filters: Some(filters) })).await;
        Ok(list.map_err(|error| error::failure(doing, "", error))?.volumes.unwrap_or_default())
    }
}

/// Labels as the engine's lists are filtered by; an empty value stands for any.
fn filters<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> HashMap<String, Vec<String>> {
    let filter = |(label, value): (&str, &str)| {
        if value.is_empty() { label.to_owned() } else { format!("{label}={value}") }
    };
    HashMap::from([("label".to_owned(), labels.into_iter().map(filter).collect())])
}

fn filters_of(machine: &MachineRef, name: &Name) -> HashMap<String, Vec<String>> {
    let own = labels::of_snapshot(&machine.workspace, &machine.id, name);
    filters(own.iter().map(|(label, value)| (label.as_str(), value.as_str())))
}

/// The machine and the name of the snapshot that something belongs to.
fn owner(labels: &Labels) -> Option<(MachineId, Name)> {
    Some((labels::machine(labels)?, labels::name(labels, labels::SNAPSHOT)?))
}

/// An image's identifier and its labels.
fn parts(image: ImageInspect) -> (String, Labels) {
    let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
    (image.id.unwrap_or_default(), labels)
}

fn read_form(labels: &Labels) -> std::result::Result<Form, String> {
    let text =
        labels::text(labels, labels::CONTAINER).ok_or("its image does not say what the machine was made with")?;
    serde_json::from_str(text).map_err(|error| format!("what the machine was made with cannot be read: {error}"))
}

/// What the labels of an image that was made at some time say of its snapshot. What another version of rig wrote otherwise
/// is left out: the snapshot is one all the same.
fn taken(machine: &MachineRef, labels: &Labels, volumes: usize, made: Timestamp) -> TakenSnapshot {
    let number = |label| labels::text(labels, label).and_then(|text| text.parse().ok());
    TakenSnapshot {
        at: labels::text(labels, labels::TAKEN).and_then(|text| text.parse().ok()).unwrap_or(made),
        running: labels::text(labels, labels::STATE) == Some(RUNNING),
        digest: labels::digest(labels),
        addresses: read_form(labels).map(|form| form.addresses(&machine.workspace, &machine.id)).unwrap_or_default(),
        size: Bytes(number(labels::BYTES).unwrap_or_default()),
        volumes,
    }
}

/// What a machine is doing, as a label says it; `None` for one that is beyond use.
fn state(details: &ContainerInspectResponse) -> Option<String> {
    let state = details.state.clone().unwrap_or_default();
    let labels = details.config.as_ref().and_then(|config| config.labels.as_ref());
    match state.status? {
        ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::PAUSED | ContainerStateStatusEnum::RESTARTING => {
            Some(RUNNING.to_owned())
        }
        ContainerStateStatusEnum::EXITED => Some(format!("{EXITED}{}", state.exit_code.unwrap_or_default())),
        // Restored and not started since: it is what its snapshot was.
        ContainerStateStatusEnum::CREATED => {
            let before = labels.and_then(|labels| labels::text(labels, labels::STATE));
            Some(before.filter(|state| state.starts_with(EXITED)).unwrap_or(CREATED).to_owned())
        }
        _ => None,
    }
}
