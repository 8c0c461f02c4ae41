//! What a container's file system has otherwise than its image.

use crate::{DockerProvider, error, labels, snapshots};
use async_trait::async_trait;
use bollard::{
    models::{ChangeType, ContainerCreateBody, ContainerInspectResponse},
    query_parameters::{CreateContainerOptions, DownloadFromContainerOptions},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use rig_provider_api::{Changes, Context, MachineRef, PathChange, PathChangeKind, ProviderError, Result};
use std::io::Read;

/// How much more than the file itself its archive may have, in bytes: headers and padding.
const AROUND: usize = 64 << 10;

/// What the engine says of a path that is not in a container (`containerArchivePath` in its daemon).
const NO_SUCH_PATH: &str = "Could not find the file";

#[async_trait]
impl Changes for DockerProvider {
    async fn changes(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PathChange>> {
        let doing = format!("looking for changes in machine {machine}");
        let name = Self::container(machine);
        cx.run(&doing, async {
            let details = self.docker.inspect_container(&name, None).await;
            let details = details.map_err(|error| error::failure(&doing, &name, error))?;
            self.changes_of(&doing, &name, &details).await
        })
        .await
    }

    async fn original(&self, cx: &Context, machine: &MachineRef, path: &str, limit: usize) -> Result<Option<Bytes>> {
        let doing = format!("reading {path} in the box of machine {machine}");
        let name = Self::container(machine);
        // An image gives no files away, a container that was never started does.
        let look = format!("{name}{}", labels::beside::LOOK);
        cx.run(&doing, async {
            let details = self.docker.inspect_container(&name, None).await;
            let details = details.map_err(|error| error::failure(&doing, &name, error))?;
            self.discard(&doing, &look).await?;
            let options = CreateContainerOptions { name: Some(look.clone()), ..Default::default() };
            // It is never run; the engine wants one all the same.
            let cmd = Some(vec!["true".to_owned()]);
            let body = ContainerCreateBody { image: snapshots::base(&details), cmd, ..Default::default() };
            let made = self.docker.create_container(Some(options), body).await;
            made.map_err(|error| error::failure(&doing, &look, error))?;
            let archive = self.archive(&doing, &look, path, limit + AROUND).await;
            self.discard(&doing, &look).await?;
            archive?.map_or(Ok(None), |archive| {
                first_file(&archive, limit).map_err(|why| ProviderError::failed(&doing, why))
            })
        })
        .await
    }
}

impl DockerProvider {
    /// The paths that a container has otherwise than its box, also when it was made from a snapshot.
    pub(crate) async fn changes_of(
        &self,
        doing: &str,
        name: &str,
        details: &ContainerInspectResponse,
    ) -> Result<Vec<PathChange>> {
        let changes = self.docker.container_changes(name).await;
        let changes = changes.map_err(|error| error::failure(doing, name, error))?.unwrap_or_default();
        let kind = |kind| match kind {
            ChangeType::_0 => PathChangeKind::Modified,
            ChangeType::_1 => PathChangeKind::Added,
            ChangeType::_2 => PathChangeKind::Removed,
        };
        let changes = changes.into_iter().map(|change| PathChange { path: change.path, kind: kind(change.kind) });
        self.since_box(doing, details, changes.collect()).await
    }

    /// The archive of one path; `None` when there is no such path.
    async fn archive(&self, doing: &str, container: &str, path: &str, limit: usize) -> Result<Option<Bytes>> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut pieces = std::pin::pin!(self.docker.download_from_container(container, Some(options)));
        let mut archive = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => archive.extend_from_slice(&piece),
                // The container itself may be gone, which says nothing about the path.
                Err(error) => match error::failure(doing, container, error) {
                    ProviderError::Failed { why, .. } if why.contains(NO_SUCH_PATH) => return Ok(None),
                    error => return Err(error),
                },
            }
            if archive.len() >= limit {
                break;
            }
        }
        Ok(Some(archive.freeze()))
    }
}

/// The beginning of the first file of an archive, which may be cut.
fn first_file(archive: &[u8], limit: usize) -> std::io::Result<Option<Bytes>> {
    let mut archive = tar::Archive::new(archive);
    let Some(entry) = archive.entries()?.next() else { return Ok(None) };
    let entry = entry?;
    if !entry.header().entry_type().is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    entry.take(limit as u64).read_to_end(&mut content)?;
    Ok(Some(content.into()))
}
