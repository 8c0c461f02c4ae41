//! Copying volumes. The engine reads and writes the files of a container that never ran as archives, volumes included, so
//! that nothing is run in the machine and its box needs no program for it.

use crate::{
    DockerProvider, error,
    labels::{self, Labels, beside},
    provider::PAUSE,
};
use bollard::{
    body_try_stream,
    models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions},
    query_parameters::{
        CreateContainerOptions, DownloadFromContainerOptions, RemoveContainerOptions, UploadToContainerOptions,
    },
};
use futures_util::StreamExt;
use rig_model::Progress;
use rig_provider_api::{Context, ProviderError, Result};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where the volumes are mounted in both containers, each in a folder that is its number.
const FOLDER: &str = "/rig-volumes";

/// One volume to copy.
pub(super) struct Carry {
    /// The volume that is read.
    pub(super) from: String,
    /// The volume that is written; it is new.
    pub(super) to: String,
    /// Where it is mounted in the machine, for messages.
    pub(super) target: String,
}

impl DockerProvider {
    /// Copies volumes with all that an archive holds: modes, owners, links, times, capabilities of files. Returns how many
    /// bytes of archives that were. `image` is any image that the engine has.
    pub(super) async fn carry(
        &self,
        cx: &Context,
        doing: &str,
        (container, image, labels): (&str, &str, &Labels),
        volumes: &[Carry],
    ) -> Result<u64> {
        if volumes.is_empty() {
            return Ok(0);
        }
        // An engine holds a container for itself while it reads from it: writing needs another one.
        let [from, to] = [beside::FROM, beside::TO].map(|end| format!("{container}{end}"));
        self.mount(doing, &from, (image, labels), volumes.iter().map(|carry| (&carry.from, true))).await?;
        self.mount(doing, &to, (image, labels), volumes.iter().map(|carry| (&carry.to, false))).await?;
        let carried = Arc::new(AtomicU64::new(0));
        let mut result = Ok(());
        for (number, carry) in volumes.iter().enumerate() {
            result = self.carry_one(cx, doing, (&from, &to), (number, carry), &carried).await;
            if result.is_err() {
                break;
            }
        }
        self.discard(doing, &from).await?;
        self.discard(doing, &to).await?;
        result.map(|()| carried.load(Ordering::Relaxed))
    }

    async fn carry_one(
        &self,
        cx: &Context,
        doing: &str,
        (from, to): (&str, &str),
        (number, carry): (usize, &Carry),
        carried: &Arc<AtomicU64>,
    ) -> Result<()> {
        let options = DownloadFromContainerOptions { path: format!("{FOLDER}/{number}") };
        let broken: Arc<OnceLock<String>> = Arc::default();
        let (told, count, cx) = (Arc::clone(&broken), Arc::clone(carried), cx.clone());
        let step = format!("volume at {}", carry.target);
        let archive = self.docker.download_from_container(from, Some(options)).map(move |piece| match piece {
            Ok(bytes) => {
                let done = count.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
                cx.progress(Progress::bytes(step.clone(), done, None));
                Ok(bytes)
            }
            Err(error) => {
                let why = error.to_string();
                let _ = told.set(why.clone());
                Err(io::Error::other(why))
            }
        });
        let options = UploadToContainerOptions { path: FOLDER.to_owned(), ..Default::default() };
        let written = self.docker.upload_to_container(to, Some(options), body_try_stream(archive)).await;
        match (broken.get(), written) {
            // The end of the writing only follows from it.
            (Some(why), _) => {
                Err(ProviderError::failed(doing, format!("reading the volume at {}: {why}", carry.target)))
            }
            (None, Err(error)) => Err(error::failure(format!("{doing}: the volume at {}", carry.target), to, error)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Makes a container that never runs, with volumes.
    async fn mount(
        &self,
        doing: &str,
        name: &str,
        (image, labels): (&str, &Labels),
        volumes: impl Iterator<Item = (&String, bool)>,
    ) -> Result<()> {
        let mount = |(number, (volume, read_only)): (usize, (&String, bool))| Mount {
            target: Some(format!("{FOLDER}/{number}")),
            source: Some(volume.clone()),
            typ: Some(MountType::VOLUME),
            read_only: Some(read_only),
            volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..Default::default() }),
            ..Mount::default()
        };
        let mut labels = labels.clone();
        labels.extend([labels::CHANGES, labels::CONTAINER].map(|label| (label.to_owned(), String::new())));
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // It is never run; the engine wants one all the same.
            cmd: Some(vec!["true".to_owned()]),
            labels: Some(labels),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                mounts: Some(volumes.enumerate().map(mount).collect()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        self.create_beside(doing, name, body).await
    }

    /// Makes a container that stands beside a machine's own, in place of one that a call has left that was cut.
    pub(super) async fn create_beside(&self, doing: &str, name: &str, body: ContainerCreateBody) -> Result<()> {
        loop {
            self.discard(doing, name).await?;
            let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
            match self.docker.create_container(Some(options), body.clone()).await {
                Ok(_) => return Ok(()),
                // The engine gives the name away before it shows the container: a call that was cut is still at work.
                Err(error) if error::is_conflict(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error::failure(doing, name, error)),
            }
        }
    }

    /// Removes a container that stands beside a machine's own, with the volumes that nobody named. Absence is success.
    pub(crate) async fn discard(&self, doing: &str, container: &str) -> Result<()> {
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        loop {
            match self.docker.remove_container(container, Some(options.clone())).await {
                Ok(()) => return Ok(()),
                Err(error) if error::is_absent(&error) => return Ok(()),
                // Its removal is under way, or a creation that was cut: the caller's deadline bounds the wait.
                Err(error) if error::is_conflict(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error::failure(doing, container, error)),
            }
        }
    }
}
