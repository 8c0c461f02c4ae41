//! Work in the store, told like the operations of a plan.

use crate::{
    app::App,
    failure::{ExitCode, Failure},
};
use rig_box_store::StoreError;
use rig_engine::EventSink;
use rig_model::{Event, OpId, Outcome, Phase, Progress, seconds};
use rig_provider_api::{Context, ProgressSink};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long one box may take: large ones come over slow lines.
pub(super) const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Why a piece of work was not done.
pub(super) trait Trouble: std::fmt::Display {
    /// Whether the user ended it.
    fn is_cancelled(&self) -> bool;
}

impl Trouble for StoreError {
    fn is_cancelled(&self) -> bool {
        self.is_cancelled()
    }
}

impl Trouble for Failure {
    fn is_cancelled(&self) -> bool {
        self.exit_code() == ExitCode::Interrupted
    }
}

/// Several pieces of work, one after the other.
pub(super) struct Work<'a> {
    app: &'a App,
    began: Instant,
    next: u32,
    total: usize,
    done: usize,
    failed: usize,
}

/// Where the progress of one piece goes.
struct Told {
    sink: Arc<dyn EventSink>,
    op: OpId,
}

impl ProgressSink for Told {
    fn progress(&self, progress: Progress) {
        self.sink.emit(Event::OperationProgress { op: self.op, progress });
    }
}

impl<'a> Work<'a> {
    /// Begins so many pieces of work.
    pub(super) fn begin(app: &'a App, total: usize) -> Self {
        app.ui.sink().emit(Event::Started { operations: total });
        Self { app, began: Instant::now(), next: 0, total, done: 0, failed: 0 }
    }

    /// Does one piece.
    pub(super) async fn run<T, E: Trouble, F: Future<Output = Result<T, E>>>(
        &mut self,
        title: String,
        phase: Phase,
        work: impl FnOnce(Context) -> F,
    ) -> Result<T, E> {
        let (sink, op) = (self.app.ui.sink(), OpId(self.next));
        self.next += 1;
        let began = Instant::now();
        sink.emit(Event::OperationStarted { op, title: title.clone(), phase, machine: None });
        let told = Told { sink: Arc::clone(&sink), op };
        let result = work(Context::new(self.app.interrupt.stop.clone(), LIMIT, Arc::new(told))).await;
        let outcome = match &result {
            Ok(_) => {
                self.done += 1;
                Outcome::Done
            }
            Err(error) if error.is_cancelled() => Outcome::Cancelled,
            Err(error) => {
                self.failed += 1;
                Outcome::Failed { error: error.to_string() }
            }
        };
        let seconds = seconds(began.elapsed());
        sink.emit(Event::OperationFinished { op, title, phase, machine: None, seconds, outcome });
        result
    }

    /// Says how it went all in all.
    pub(super) fn end(self) {
        let skipped = self.total.saturating_sub(self.done + self.failed);
        let (done, failed, seconds) = (self.done, self.failed, seconds(self.began.elapsed()));
        self.app.ui.sink().emit(Event::Finished { done, failed, skipped, seconds });
    }
}

/// One piece of work that stands alone.
pub(super) async fn alone<T, E: Trouble + Into<Failure>, F: Future<Output = Result<T, E>>>(
    app: &App,
    title: String,
    phase: Phase,
    work: impl FnOnce(Context) -> F,
) -> Result<T, Failure> {
    let mut told = Work::begin(app, 1);
    let result = told.run(title, phase, work).await;
    told.end();
    result.map_err(Into::into)
}

/// Short work that blocks.
pub(super) fn look<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, Failure> {
    Ok(tokio::task::block_in_place(work)?)
}
