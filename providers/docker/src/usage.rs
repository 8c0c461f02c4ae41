//! What containers have used and what they take on the engine's disk.

use crate::{
    DockerProvider, error, labels,
    layers::{self, Image},
    provider::PAUSE,
};
use async_trait::async_trait;
use bollard::{
    models::Volume,
    query_parameters::{InspectContainerOptions, ListVolumesOptions, StatsOptions},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use rig_model::{Bytes, MachineId};
use rig_provider_api::{
    Context, DiskUsage, ImageUsage, MachineRef, MachineUsage, Provider, ProviderError, Result, Usage,
};
use std::time::Duration;

/// How many containers or images are asked for at once: the engine walks the files of each.
const AT_ONCE: usize = 8;

/// The last version of the API whose data usage lists volumes in the form of `/volumes`; newer engines still speak it.
const LISTS_VOLUMES: (usize, usize) = (1, 51);

/// The first version of the API in which data usage can be asked for volumes alone.
const CHOOSES: (usize, usize) = (1, 42);

/// What engines before 23.0 say when they are asked for data usage twice at once.
const BUSY: &str = "disk usage operation is already running";

#[async_trait]
impl Usage for DockerProvider {
    async fn used(&self, cx: &Context, machine: &MachineRef) -> Result<MachineUsage> {
        let doing = format!("asking what machine {machine} has used");
        let seen = self.inspect(cx, machine).await?;
        // The statistics of a stopped container are zeros, which would look like a machine that used nothing.
        let stopped = |state| ProviderError::failed(&doing, format!("machine {machine} is not running, it {state}"));
        match seen {
            None => return Err(ProviderError::Absent { doing, what: format!("machine {machine}") }),
            Some(seen) if !seen.state.is_running() => return Err(stopped(format!("is {}", seen.state))),
            Some(_) => {}
        }
        let name = Self::container(machine);
        cx.run(&doing, async {
            let options = StatsOptions { stream: false, one_shot: true };
            let mut all = std::pin::pin!(self.docker.stats(&name, Some(options)));
            let stats = all.try_next().await.map_err(|error| error::failure(&doing, &name, error))?.unwrap_or_default();
            let spent = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or_default();
            if spent == 0 {
                return Err(stopped("has ended meanwhile".to_owned()));
            }
            let received = |network: &bollard::models::ContainerNetworkStats| network.rx_bytes.unwrap_or_default();
            Ok(MachineUsage {
                cpu: Duration::from_nanos(spent),
                // Version 2 of control groups has none.
                memory_peak: stats.memory_stats.and_then(|memory| memory.max_usage).filter(|peak| *peak > 0).map(Bytes),
                received: stats
                    .networks
                    .filter(|networks| !networks.is_empty())
                    .map(|networks| Bytes(networks.values().map(received).sum())),
            })
        })
        .await
    }

    async fn disk(&self, cx: &Context, machines: &[MachineRef]) -> Result<DiskUsage> {
        let doing = "asking the engine what machines take on its disk";
        cx.run(doing, Box::pin(self.disk_of(doing, machines))).await
    }
}

/// A container that is there.
struct Container {
    machine: MachineRef,
    /// The identifier of its image.
    image: String,
    /// What it has on top of that.
    written: Bytes,
}

impl DockerProvider {
    async fn disk_of(&self, doing: &str, machines: &[MachineRef]) -> Result<DiskUsage> {
        let info = async { self.docker.info().await.map_err(|error| error::failure(doing, "", error)) };
        let looks: Vec<_> = machines.iter().map(|machine| self.measured(doing, machine)).collect();
        let containers = stream::iter(looks).buffered(AT_ONCE).try_collect::<Vec<_>>();
        let (info, containers, volumes) = tokio::try_join!(info, containers, self.volume_sizes(doing))?;
        let containers: Vec<Container> = containers.into_iter().flatten().collect();

        let mut images: Vec<(String, Vec<MachineId>)> = Vec::new();
        for Container { machine, image, .. } in &containers {
            match images.iter_mut().find(|(id, _)| id == image) {
                Some((_, users)) => users.push(machine.id.clone()),
                None => images.push((image.clone(), vec![machine.id.clone()])),
            }
        }
        let looks: Vec<_> = images.iter().map(|(id, _)| self.layered(doing, id)).collect();
        let details: Vec<Image> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        let layers = layers::sizes(&details);
        Ok(DiskUsage {
            storage_driver: info.driver.unwrap_or_default(),
            images: images
                .into_iter()
                .zip(layers)
                .map(|((id, machines), layers)| ImageUsage { id, machines, layers })
                .collect(),
            written: containers.iter().map(|there| (there.machine.id.clone(), there.written)).collect(),
            volumes: containers
                .iter()
                .filter_map(|there| Some((there.machine.id.clone(), in_volumes(&there.machine, &volumes)?)))
                .collect(),
        })
    }

    /// A machine's container and what was written to it; `None` when it is not there.
    async fn measured(&self, doing: &str, machine: &MachineRef) -> Result<Option<Container>> {
        let name = Self::container(machine);
        let options = InspectContainerOptions { size: true };
        let details = match self.docker.inspect_container(&name, Some(options)).await {
            Ok(details) => details,
            Err(error) if error::is_absent(&error) => return Ok(None),
            Err(error) => return Err(error::failure(doing, &name, error)),
        };
        let written = details.size_rw.and_then(|size| u64::try_from(size).ok());
        let written =
            written.ok_or_else(|| ProviderError::failed(doing, format!("it cannot tell what {name} has written")))?;
        Ok(Some(Container {
            machine: machine.clone(),
            image: details.image.unwrap_or_default(),
            written: Bytes(written),
        }))
    }

    async fn layered(&self, doing: &str, id: &str) -> Result<Image> {
        let failed = |error| error::failure(doing, id, error);
        let details = async { self.docker.inspect_image(id).await.map_err(failed) };
        let history = async { self.docker.image_history(id).await.map_err(failed) };
        let (details, history) = tokio::try_join!(details, history)?;
        Ok(Image {
            layers: details.root_fs.and_then(|root| root.layers).unwrap_or_default(),
            size: details.size.unwrap_or_default(),
            history,
        })
    }

    /// All volumes of the engine with their sizes.
    async fn volume_sizes(&self, doing: &str) -> Result<Vec<Volume>> {
        // The client library reads the data usage of API 1.52 and later alone, which the engines that matter do not speak.
        // What they answer has its volumes in the form of the list of volumes, which is what is asked for here.
        let version = self.docker.client_version();
        let (major, minor) = (version.major_version, version.minor_version).min(LISTS_VOLUMES);
        let query = if (major, minor) < CHOOSES { "" } else { "?type=volume" };
        let path = format!("/v{major}.{minor}/system/df{query}");
        let docker = self.docker.clone().with_request_modifier(move |mut request| {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = path.parse().ok();
            if let Ok(uri) = parts.try_into() {
                *request.uri_mut() = uri;
            }
            request
        });
        loop {
            let failure = match docker.list_volumes(None::<ListVolumesOptions>).await {
                Ok(list) => return Ok(list.volumes.unwrap_or_default()),
                Err(error) => error::failure(doing, "", error),
            };
            match failure {
                // Somebody else is asking; the caller's deadline bounds the wait.
                ProviderError::Failed { why, .. } if why.contains(BUSY) => tokio::time::sleep(PAUSE).await,
                failure => return Err(failure),
            }
        }
    }
}

/// What is in a machine's volumes; `None` when one of them has a size that the engine does not know.
fn in_volumes(machine: &MachineRef, volumes: &[Volume]) -> Option<Bytes> {
    let sizes = volumes
        .iter()
        .filter(|volume| {
            labels::name(&volume.labels, labels::WORKSPACE).as_ref() == Some(&machine.workspace)
                && labels::machine(&volume.labels).as_ref() == Some(&machine.id)
        })
        .map(|volume| u64::try_from(volume.usage_data.as_ref()?.size).ok());
    sizes.sum::<Option<u64>>().map(Bytes)
}
