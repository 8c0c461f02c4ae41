//! Events as bars on a terminal: what is under way below, what has ended above.

use super::plain;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use rig_engine::EventSink;
use rig_model::{Event, OpId, Progress, Unit};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How many bars are drawn; more would scroll away, and flicker on Windows.
const MOST: usize = 12;

/// Draws bars.
pub(super) struct Bars {
    all: MultiProgress,
    verbose: bool,
    colored: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bars: HashMap<OpId, ProgressBar>,
    total: usize,
    ended: usize,
    overall: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn new(verbose: bool, colored: bool) -> Self {
        Self { all: MultiProgress::new(), verbose, colored, state: Mutex::default() }
    }

    fn line(&self, text: &str) {
        // A terminal that cannot be written to shows nothing anyway.
        let _ = self.all.println(text);
    }
}

impl EventSink for Bars {
    fn emit(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &event {
            Event::Started { operations } => {
                state.total = *operations;
                state.ended = 0;
                let overall = self.all.add(ProgressBar::new(*operations as u64));
                overall.set_style(style(if self.colored {
                    "{bar:24.green/black} {pos}/{len} {elapsed}"
                } else {
                    "{bar:24} {pos}/{len} {elapsed}"
                }));
                overall.enable_steady_tick(Duration::from_millis(250));
                state.overall = Some(overall);
            }
            Event::OperationStarted { op, title, .. } => {
                if state.bars.len() >= MOST {
                    return;
                }
                let bar = ProgressBar::new_spinner();
                bar.set_style(style(if self.colored {
                    "{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed:.dim}"
                } else {
                    "{spinner} {prefix} {wide_msg} {elapsed}"
                }));
                bar.set_prefix(title.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                let bar = match &state.overall {
                    Some(overall) => self.all.insert_before(overall, bar),
                    None => self.all.add(bar),
                };
                state.bars.insert(*op, bar);
            }
            Event::OperationProgress { op, progress } => {
                if let Some(bar) = state.bars.get(op) {
                    bar.set_message(message(progress));
                }
            }
            Event::OperationFinished { op, .. } => {
                if let Some(bar) = state.bars.remove(op) {
                    bar.finish_and_clear();
                }
                state.ended += 1;
                if let Some(overall) = &state.overall {
                    overall.set_position(state.ended as u64);
                }
                if let Some(line) = plain::line(&event, self.verbose) {
                    self.line(&line);
                }
            }
            Event::Finished { .. } => {
                for (_, bar) in state.bars.drain() {
                    bar.finish_and_clear();
                }
                if let Some(overall) = state.overall.take() {
                    overall.finish_and_clear();
                }
                if let Some(line) = plain::line(&event, self.verbose) {
                    self.line(&line);
                }
            }
            other => {
                if let Some(line) = plain::line(other, self.verbose) {
                    self.line(&line);
                }
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; one that does not parse falls back to the default look.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn message(progress: &Progress) -> String {
    match (progress.done, progress.total, progress.unit) {
        (Some(done), Some(total), Unit::Bytes) => {
            format!("{} {} of {}", progress.step, HumanBytes(done), HumanBytes(total))
        }
        (Some(done), None, Unit::Bytes) if done > 0 => format!("{} {}", progress.step, HumanBytes(done)),
        (Some(done), Some(total), Unit::Steps) => format!("{} {done}/{total}", progress.step),
        _ => progress.step.clone(),
    }
}
