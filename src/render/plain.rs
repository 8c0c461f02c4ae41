//! Events as lines with times, for pipes, CI and logs.

use super::{style::Paint, ui::err};
use rig_engine::EventSink;
use rig_model::{Event, Outcome};
use std::time::Instant;

/// Writes one line for each begin and end; progress only when asked.
pub(super) struct Plain {
    began: Instant,
    verbose: bool,
}

impl Plain {
    pub(super) fn new(verbose: bool) -> Self {
        Self { began: Instant::now(), verbose }
    }
}

impl EventSink for Plain {
    fn emit(&self, event: Event) {
        if let Some(line) = line(&event, self.verbose) {
            err(&format!("[{:7.2}s] {line}", self.began.elapsed().as_secs_f64()));
        }
    }
}

/// An event in words; nothing for those that say nothing new.
pub(super) fn line(event: &Event, verbose: bool) -> Option<String> {
    Some(match event {
        Event::Started { .. } => return None,
        Event::OperationStarted { title, .. } => format!("{title} …"),
        Event::OperationProgress { progress, .. } if verbose => format!("    {}", progress.step),
        Event::OperationProgress { .. } => return None,
        Event::OperationFinished { title, seconds, outcome, .. } => finished(title, *seconds, outcome),
        Event::Restarted { machine, why } => {
            Paint::Warn.paint(format!("machine {machine} {why}; started again by its restart policy"))
        }
        Event::Log(log) => format!("{} | {}", log.machine, log.line),
        Event::Note { text } => text.clone(),
        Event::Warning { text } => Paint::Warn.paint(format!("warning: {text}")),
        Event::Interrupted => Paint::Warn
            .paint("interrupted: calls in flight end, nothing more is started; Ctrl-C again gives up at once"),
        Event::Finished { done, failed, skipped, seconds } => {
            let mut text = format!("{done} done");
            if *failed > 0 {
                text += &format!(", {failed} failed");
            }
            if *skipped > 0 {
                text += &format!(", {skipped} left");
            }
            format!("{text} in {seconds:.1} s")
        }
    })
}

/// How an operation ended, in words.
pub(super) fn finished(title: &str, seconds: f64, outcome: &Outcome) -> String {
    let time = Paint::Faint.paint(format!("{seconds:.1}s"));
    match outcome {
        Outcome::Done => format!("{} {title} {time}", Paint::Good.paint("✓")),
        // The whole error is shown once, at the end.
        Outcome::Failed { error } => {
            let first = error.lines().next().unwrap_or_default();
            format!("{} {title} {time}: {first}", Paint::Bad.paint("✗"))
        }
        Outcome::Skipped { why } => format!("{} {title}: not begun, {why}", Paint::Faint.paint("-")),
        Outcome::Cancelled => format!("{} {title}: interrupted", Paint::Warn.paint("-")),
    }
}
