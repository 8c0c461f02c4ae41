//! Boxes as images.

use super::{
    Case, Failure, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name},
};
use crate::{BoxTag, BuildRequest, ByteStream, Context, Images, ProgressSink};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rig_model::{BoxName, Digest, ObservedBox, Progress};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(an_imported_box_is_listed_and_runs, Images, Import),
        case!(a_box_is_built_on_its_parent, Images, Build),
        case!(a_built_box_holds_what_its_steps_made, Images, Exec, Real, Build),
        case!(a_build_tells_its_steps, Images, Build),
        case!(a_failing_build_shows_its_last_lines, Images, Real, Build),
        case!(a_broken_archive_is_an_error, Images),
        case!(removing_what_is_absent_succeeds, Images, Import),
    ]
}

fn images<'a>(stage: &Stage<'a>) -> Outcome<&'a dyn Images> {
    stage.provider.images().ok_or_else(|| Failure::new("the provider has no images"))
}

/// A box of this case alone.
fn tag(stage: &Stage<'_>, rest: &str, parent: Option<&BoxName>) -> Outcome<BoxTag> {
    let box_name = name(&format!("{}{rest}", stage.fixture.workspace));
    let digest = Digest::of(box_name.as_str().as_bytes());
    let image = images(stage)?.reference(&box_name, &digest);
    Ok(BoxTag { name: box_name, digest, parent: parent.cloned(), image })
}

/// An archive in pieces, as it comes from a disk.
fn pieces(archive: &Bytes) -> ByteStream {
    let pieces: Vec<_> = archive.chunks(64 * 1024).map(|piece| Ok(archive.slice_ref(piece))).collect();
    stream::iter(pieces).boxed()
}

pub(super) async fn import(stage: &Stage<'_>) -> Outcome<BoxTag> {
    let tag = tag(stage, "", None)?;
    images(stage)?.import(&stage.cx, &tag, pieces(&stage.fixture.root)).await?;
    Ok(tag)
}

/// Builds a child of a box, whose name ends with `rest`.
pub(super) async fn build(
    stage: &Stage<'_>,
    cx: &Context,
    rest: &str,
    parent: &BoxTag,
    dockerfile: &str,
) -> Outcome<BoxTag> {
    let tag = tag(stage, rest, Some(&parent.name))?;
    let request = BuildRequest {
        tag: tag.clone(),
        context: pieces(&(stage.fixture.context)(dockerfile)),
        args: vec![("RIG_FROM".to_owned(), parent.image.clone())],
        no_cache: false,
    };
    images(stage)?.build(cx, request).await?;
    Ok(tag)
}

async fn listed(stage: &Stage<'_>, tag: &BoxTag) -> Outcome<Option<ObservedBox>> {
    Ok(images(stage)?.list(&stage.cx).await?.into_iter().find(|there| there.image == tag.image))
}

async fn an_imported_box_is_listed_and_runs(stage: &Stage<'_>) -> Outcome {
    let tag = import(stage).await?;
    let Some(there) = listed(stage, &tag).await? else {
        return Err(Failure::new(format!("{} is not listed after its import", tag.image)));
    };
    ensure_eq!((&there.name, &there.digest, &there.parent), (&tag.name, &tag.digest, &tag.parent), "it is listed as");
    let mut machine = stage.machine("imported");
    machine.image.clone_from(&tag.image);
    stage.up(&machine).await?;
    ensure_eq!(stage.seen(&machine).await?.image, tag.image, "the machine's image is");
    stage.destroy(&machine).await?;

    // Once more is no harm.
    import(stage).await?;
    let count = images(stage)?.list(&stage.cx).await?.iter().filter(|there| there.name == tag.name).count();
    ensure_eq!(count, 1, "boxes after a second import");
    Ok(())
}

const CHILD: &str = "ARG RIG_FROM\nFROM ${RIG_FROM}\nRUN echo built > /built && echo told\n";

async fn a_box_is_built_on_its_parent(stage: &Stage<'_>) -> Outcome {
    let parent = import(stage).await?;
    let child = build(stage, &stage.cx, "-child", &parent, CHILD).await?;
    let there = listed(stage, &child).await?.ok_or_else(|| Failure::new("a built box is not listed"))?;
    ensure_eq!(
        (&there.name, &there.digest, &there.parent),
        (&child.name, &child.digest, &child.parent),
        "it is listed as"
    );
    ensure!(
        listed(stage, &parent).await?.is_some_and(|there| there.parent.is_none()),
        "the parent changed with its child"
    );
    Ok(())
}

async fn a_built_box_holds_what_its_steps_made(stage: &Stage<'_>) -> Outcome {
    let parent = import(stage).await?;
    let child = build(stage, &stage.cx, "-child", &parent, CHILD).await?;
    let mut machine = stage.machine("built");
    machine.image = child.image;
    stage.up(&machine).await?;
    ensure_eq!(stage.output(&machine, "cat /built").await?, "built", "a file of the build holds");
    stage.destroy(&machine).await
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl ProgressSink for Told {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(progress.step);
    }
}

async fn a_build_tells_its_steps(stage: &Stage<'_>) -> Outcome {
    let parent = import(stage).await?;
    let told = Arc::new(Told::default());
    let cx =
        Context::new(CancellationToken::new(), Duration::from_secs(50), Arc::clone(&told) as Arc<dyn ProgressSink>);
    build(stage, &cx, "-child", &parent, &format!("{CHILD}RUN echo {}\n", stage.fixture.workspace)).await?;
    let steps = told.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(steps.iter().any(|step| step.starts_with('[')), "no step was told: {steps:?}");
    Ok(())
}

async fn a_failing_build_shows_its_last_lines(stage: &Stage<'_>) -> Outcome {
    let parent = import(stage).await?;
    let dockerfile = "ARG RIG_FROM\nFROM ${RIG_FROM}\nRUN seq 100 && echo the reason >&2 && exit 9\n";
    let request = BuildRequest {
        tag: tag(stage, "-child", Some(&parent.name))?,
        context: pieces(&(stage.fixture.context)(dockerfile)),
        args: vec![("RIG_FROM".to_owned(), parent.image.clone())],
        no_cache: true,
    };
    let child = request.tag.clone();
    let Err(error) = images(stage)?.build(&stage.cx, request).await else {
        return Err(Failure::new("a build whose step fails succeeds"));
    };
    ensure!(error.to_string().contains("RUN seq"), "the error does not name the step: {error}");
    ensure!(
        error.tail().iter().any(|line| line.contains("the reason")),
        "the reason is not in the tail {:?}",
        error.tail()
    );
    ensure!(error.tail().len() <= 40, "the tail has {} lines", error.tail().len());
    ensure_eq!(listed(stage, &child).await?, None, "the box that failed to build is listed as");
    Ok(())
}

async fn a_broken_archive_is_an_error(stage: &Stage<'_>) -> Outcome {
    let tag = tag(stage, "", None)?;
    let broken = stream::iter([
        Ok(stage.fixture.root.slice(..stage.fixture.root.len().min(4096))),
        Err(std::io::Error::other("the disk is gone")),
    ]);
    let result = images(stage)?.import(&stage.cx, &tag, broken.boxed()).await;
    ensure!(result.is_err(), "half an archive was imported");
    ensure_eq!(listed(stage, &tag).await?, None, "the box that failed to be imported is listed as");
    Ok(())
}

async fn removing_what_is_absent_succeeds(stage: &Stage<'_>) -> Outcome {
    let tag = import(stage).await?;
    for _ in 0..2 {
        images(stage)?.remove(&stage.cx, &tag.image).await?;
        ensure_eq!(listed(stage, &tag).await?, None, "a removed box is");
    }
    Ok(())
}
