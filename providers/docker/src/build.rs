//! Image builds through BuildKit.

use crate::{DockerProvider, error, labels};
use bollard::{
    body_try_stream,
    moby::buildkit::v1::StatusResponse,
    models::BuildInfoAux,
    query_parameters::{BuildImageOptions, BuilderVersion},
};
use futures_util::TryStreamExt;
use rig_model::{Hasher, Progress};
use rig_provider_api::{BuildRequest, Context, ProviderError, Result};
use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
};

/// How many lines of a failed step are shown.
const TAIL: usize = 20;

/// The number of standard error in BuildKit's log.
const STDERR: i64 = 2;

pub(crate) async fn build(provider: &DockerProvider, cx: &Context, request: BuildRequest) -> Result<()> {
    let BuildRequest { tag, context, args, no_cache } = request;
    let doing = format!("building box {}", tag.name);
    let options = BuildImageOptions {
        dockerfile: "Dockerfile".to_owned(),
        t: Some(tag.image.clone()),
        labels: Some(labels::of_box(&tag)),
        buildargs: Some(args.into_iter().collect()),
        nocache: no_cache,
        rm: true,
        version: BuilderVersion::BuilderBuildKit,
        session: Some(session(&tag.image)),
        ..BuildImageOptions::default()
    };
    cx.run(&doing, async {
        let mut steps = Steps::default();
        let mut news = std::pin::pin!(provider.docker.build_image(options, None, Some(body_try_stream(context))));
        loop {
            match news.try_next().await {
                Ok(Some(info)) => {
                    if let Some(BuildInfoAux::BuildKit(status)) = info.aux
                        && let Some(progress) = steps.take(status)
                    {
                        cx.progress(progress);
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(steps.failure(&doing, error::failure(&doing, &tag.image, error))),
            }
        }
    })
    .await
}

/// A session's name, different for every build of this process and, by its number, of this host.
fn session(image: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = Hasher::new("session");
    hasher.part(image).part(std::process::id().to_le_bytes()).part(COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    format!("rig-{}", hasher.finish().short())
}

/// What BuildKit is at.
#[derive(Default)]
struct Steps {
    names: HashMap<String, String>,
    failed: Option<String>,
    /// Lines that came, for the order of the two streams' lines.
    lines: usize,
    output: VecDeque<(usize, String)>,
    errors: VecDeque<(usize, String)>,
}

impl Steps {
    /// Takes a report and says what is worth showing of it.
    fn take(&mut self, status: StatusResponse) -> Option<Progress> {
        let mut shown = None;
        for vertex in status.vertexes {
            // Names in brackets are the Dockerfile's steps, or BuildKit's own business ("[internal] load …").
            let step = vertex.name.starts_with('[') && !vertex.name.starts_with("[internal]");
            if !vertex.error.is_empty() {
                self.failed = Some(vertex.name.clone());
            } else if step && vertex.started.is_some() && vertex.completed.is_none() {
                shown = Some(Progress::step(vertex.name.clone()));
            }
            self.names.insert(vertex.digest, vertex.name);
        }
        for log in status.logs {
            let lines = if log.stream == STDERR { &mut self.errors } else { &mut self.output };
            for line in String::from_utf8_lossy(&log.msg).lines() {
                self.lines += 1;
                lines.push_back((self.lines, line.to_owned()));
                if lines.len() > TAIL {
                    lines.pop_front();
                }
            }
        }
        shown
    }

    /// Adds the failing step and its last lines.
    fn failure(self, doing: &str, error: ProviderError) -> ProviderError {
        let tail = tail(self.output, self.errors);
        match error {
            ProviderError::Failed { why, hint, .. } => ProviderError::Failed {
                doing: self.failed.map_or_else(|| doing.to_owned(), |step| format!("{doing}, step {step}")),
                why,
                tail,
                hint,
            },
            other => other,
        }
    }
}

/// The last lines of both streams. BuildKit reads them apart, so that the reason of a failure can arrive before much
/// older output: half of the room is kept for each stream as far as it has lines.
fn tail(mut output: VecDeque<(usize, String)>, mut errors: VecDeque<(usize, String)>) -> Vec<String> {
    let for_errors = errors.len().min(TAIL - output.len().min(TAIL / 2));
    let for_output = output.len().min(TAIL - for_errors);
    errors.drain(..errors.len() - for_errors);
    output.drain(..output.len() - for_output);
    let mut lines: Vec<_> = output.into_iter().chain(errors).collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: std::ops::Range<usize>) -> VecDeque<(usize, String)> {
        numbers.map(|number| (number, number.to_string())).collect()
    }

    #[test]
    fn much_output_does_not_drown_the_reason() {
        let shown = tail(lines(2..22), lines(1..2));
        assert_eq!(shown.len(), TAIL);
        assert_eq!(shown[0], "1");
        assert_eq!(shown[TAIL - 1], "21");
    }

    #[test]
    fn one_stream_has_the_whole_room() {
        assert_eq!(tail(lines(0..20), lines(0..0)).len(), TAIL);
        assert_eq!(tail(lines(0..0), lines(0..20)).len(), TAIL);
        assert_eq!(tail(lines(0..20), lines(20..40)).len(), TAIL);
    }
}
