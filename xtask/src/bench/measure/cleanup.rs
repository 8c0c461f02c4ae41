//! What measurements leave on an engine, and what they should have made there.

use super::{
    contender::{PREFIX, Setting},
    raw,
    rig::BOX,
};
use crate::cargo::Result;
use bollard::{
    Docker,
    query_parameters::{
        ListContainersOptions, ListImagesOptions, ListNetworksOptions, RemoveContainerOptions, RemoveImageOptions,
    },
};
use std::collections::HashMap;
use tokio::runtime::{Builder, Runtime};

/// The engine, looked at from outside any contender.
pub(super) struct Onlooker {
    setting: Setting,
    runtime: Runtime,
}

impl Onlooker {
    /// Gets ready to look.
    ///
    /// # Errors
    /// When its runtime does not start.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            setting: setting.clone(),
            runtime: runtime.map_err(|error| format!("starting the onlooker's runtime: {error}"))?,
        })
    }

    /// How many containers of a contender run.
    ///
    /// # Errors
    /// When the engine does not say.
    pub(super) fn running(&self, contender: &str) -> Result<usize> {
        self.runtime.block_on(async {
            let docker = raw::connect(&self.setting).await?;
            Ok(containers(&docker, &format!("{PREFIX}-{contender}"), false).await?.len())
        })
    }

    /// The image of the box that rig built for the benchmark.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn image(&self) -> Result<String> {
        self.runtime.block_on(async {
            let docker = raw::connect(&self.setting).await?;
            images(&docker).await?.pop().ok_or_else(|| "rig built the box, but no image has its label".to_owned())
        })
    }

    /// Removes everything that has the benchmark's name; containers and networks only, or images too.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(super) fn remove_all(&self, images_too: bool) -> Result {
        self.runtime.block_on(async {
            let docker = raw::connect(&self.setting).await?;
            for name in containers(&docker, PREFIX, true).await? {
                let options = RemoveContainerOptions { v: true, force: true, ..RemoveContainerOptions::default() };
                docker
                    .remove_container(&name, Some(options))
                    .await
                    .map_err(|error| format!("removing container {name}: {error}"))?;
            }
            let networks = docker
                .list_networks(None::<ListNetworksOptions>)
                .await
                .map_err(|error| format!("listing networks: {error}"))?;
            for name in networks.into_iter().filter_map(|network| network.name).filter(|name| name.starts_with(PREFIX))
            {
                docker.remove_network(&name).await.map_err(|error| format!("removing network {name}: {error}"))?;
            }
            if images_too {
                for name in images(&docker).await? {
                    let removed = docker.remove_image(&name, None::<RemoveImageOptions>, None).await;
                    removed.map_err(|error| format!("removing image {name}: {error}"))?;
                }
            }
            Ok(())
        })
    }
}

/// The names of containers that begin so.
async fn containers(docker: &Docker, prefix: &str, all: bool) -> Result<Vec<String>> {
    let options = ListContainersOptions { all, ..ListContainersOptions::default() };
    let list = docker.list_containers(Some(options)).await.map_err(|error| format!("listing containers: {error}"))?;
    let names = list.into_iter().filter_map(|container| container.names?.into_iter().next());
    Ok(names.map(|name| name.trim_start_matches('/').to_owned()).filter(|name| name.starts_with(prefix)).collect())
}

/// The references of the benchmark's box.
async fn images(docker: &Docker) -> Result<Vec<String>> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("rig.box={BOX}")])]);
    let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
    let list = docker.list_images(Some(options)).await.map_err(|error| format!("listing images: {error}"))?;
    Ok(list.into_iter().flat_map(|image| image.repo_tags).collect())
}
