//! What is left of machines and snapshots: by calls that were cut, and by snapshots that were deleted while a machine ran from
//! them.

use super::{filters_of, form, repository};
use crate::{
    DockerProvider, error,
    labels::{self, beside},
};
use bollard::{
    models::ContainerSummary,
    query_parameters::{
        ListContainersOptions, ListImagesOptions, RemoveImageOptions, RemoveVolumeOptions, TagImageOptions,
    },
};
use rig_model::Name;
use rig_provider_api::{MachineRef, Result};
use std::collections::{HashMap, HashSet};

/// What the tags begin with of snapshots that were deleted while a machine runs from them. No name holds such a character.
const KEPT: &str = "_kept-";

/// What the engine's list says of an image without a name.
const UNNAMED: &str = "<none>:<none>";

/// Whether an image has no name.
pub(super) fn is_unnamed(tags: &[String]) -> bool {
    tags.iter().all(|tag| tag == UNNAMED)
}

/// What a machine's removal leaves beside its container.
#[derive(Default)]
pub(crate) struct Remains {
    containers: Vec<String>,
    volumes: Vec<String>,
    images: HashSet<String>,
}

impl DockerProvider {
    /// What goes when a machine's container goes: what calls left beside it that were cut, and the image of a snapshot that
    /// was deleted while the machine ran from it.
    pub(crate) async fn remains(&self, doing: &str, machine: &MachineRef) -> Result<Remains> {
        let container = Self::container(machine);
        let pattern = format!("^/{}(\\.|$)", container.replace('.', "\\."));
        let filters = HashMap::from([("name".to_owned(), vec![pattern])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let list = self.docker.list_containers(Some(options)).await;
        let list = list.map_err(|error| error::failure(doing, &container, error))?;
        let end = |summary: &ContainerSummary| {
            let mut names = summary.names.iter().flatten().map(|name| name.trim_start_matches('/'));
            names.find_map(|name| name.strip_prefix(&container).map(str::to_owned))
        };
        let is_there = list.iter().any(|summary| end(summary).as_deref() == Some(""));
        let mut remains = Remains::default();
        for summary in &list {
            let Some(end) = end(summary).filter(|end| end.is_empty() || beside::ALL.contains(&end.as_str())) else {
                continue;
            };
            if summary.labels.as_ref().is_some_and(|labels| labels::text(labels, labels::SNAPSHOT).is_some()) {
                remains.images.extend(summary.image_id.clone());
            }
            // They were half filled, or may have been: worth nothing, and the snapshot has it all. A machine that is there by
            // now has them as its own.
            if end == beside::RESTORE && !is_there {
                remains.volumes.extend(named_volumes(summary));
            }
            if !end.is_empty() {
                remains.containers.push(format!("{container}{end}"));
            }
        }
        Ok(remains)
    }

    /// Removes what a machine's removal has left.
    pub(crate) async fn clear(&self, doing: &str, remains: Remains) -> Result<()> {
        for container in &remains.containers {
            self.discard(doing, container).await?;
        }
        for volume in &remains.volumes {
            self.drop_volume(doing, volume).await?;
        }
        for image in &remains.images {
            self.drop_unnamed(doing, image).await?;
        }
        Ok(())
    }

    /// Gives an image that a machine needs a name which is no snapshot's.
    pub(super) async fn keep(&self, doing: &str, machine: &MachineRef, image: &str) -> Result<()> {
        let there = self.image(doing, image).await?.and_then(|there| there.id).unwrap_or_default();
        let short: String = there.trim_start_matches("sha256:").chars().take(12).collect();
        let options = TagImageOptions { repo: Some(repository(machine)), tag: Some(format!("{KEPT}{short}")) };
        let tagged = self.docker.tag_image(image, Some(options)).await;
        tagged.map_err(|error| error::failure(doing, image, error))?;
        let removed = self.docker.remove_image(image, None::<RemoveImageOptions>, None).await;
        removed.map(|_| ()).map_err(|error| error::failure(doing, image, error))
    }

    /// Removes an image that was a snapshot and is none any more. One that is a snapshot, or is needed by another one or by
    /// another machine, stays.
    async fn drop_unnamed(&self, doing: &str, id: &str) -> Result<()> {
        let Some(image) = self.image(doing, id).await? else { return Ok(()) };
        let tags = image.repo_tags.unwrap_or_default();
        let is_kept = |tag: &String| tag.rsplit_once(':').is_some_and(|(_, tag)| tag.starts_with(KEPT));
        if !tags.iter().all(is_kept) {
            return Ok(());
        }
        let names = if tags.is_empty() { vec![id.to_owned()] } else { tags };
        for name in names {
            match self.docker.remove_image(&name, None::<RemoveImageOptions>, None).await {
                Err(error) if !error::is_absent(&error) && !error::is_conflict(&error) => {
                    return Err(error::failure(doing, &name, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes images that were a snapshot until another one took the name: the engine goes on with a commit that was cut, and
    /// the next save may be at the same. One that something is made from stays, and goes with that.
    pub(super) async fn drop_strays(&self, doing: &str, machine: &MachineRef, name: &Name) -> Result<()> {
        let options = ListImagesOptions { filters: Some(filters_of(machine, name)), ..Default::default() };
        let images = self.docker.list_images(Some(options)).await;
        for image in images.map_err(|error| error::failure(doing, "", error))? {
            if is_unnamed(&image.repo_tags) {
                self.drop_unnamed(doing, &image.id).await?;
            }
        }
        Ok(())
    }

    /// Removes the volumes of a snapshot.
    pub(super) async fn drop_volumes(&self, doing: &str, machine: &MachineRef, name: &Name) -> Result<()> {
        let there = self.list_volumes(doing, filters_of(machine, name)).await?;
        if there.is_empty() {
            return Ok(());
        }
        for end in [beside::FROM, beside::TO] {
            self.discard(doing, &format!("{}{end}", Self::container(machine))).await?;
        }
        for volume in there {
            self.drop_volume(doing, &volume.name).await?;
        }
        Ok(())
    }

    pub(super) async fn drop_volume(&self, doing: &str, name: &str) -> Result<()> {
        match self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(error) if !error::is_absent(&error) => Err(error::failure(doing, name, error)),
            _ => Ok(()),
        }
    }
}

/// The named volumes of a listed container.
fn named_volumes(summary: &ContainerSummary) -> impl Iterator<Item = String> {
    let points = summary.mounts.clone().unwrap_or_default().into_iter();
    // Those that nobody named go with the container; removing them again is no failure.
    points.filter(|point| point.typ.as_deref() == Some(form::VOLUME)).filter_map(|point| point.name)
}
