//! How machines behave while they run.

use crate::{FakeProvider, rules::matches};
use rig_model::{Exit, Stream};
use std::{sync::Arc, time::Duration};

/// What a command inside a machine says and ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecAnswer {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code.
    pub exit: i64,
    /// How long it runs before it says anything.
    pub takes: Duration,
}

/// What is answered to the bytes of one read.
pub(crate) type Reply = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// What listens on a port.
#[derive(Clone)]
pub(crate) enum Service {
    /// Takes connections and says nothing.
    Silent,
    /// Answers a GET of this path.
    Http { path: String, status: u16, body: String },
    /// Answers whatever it is sent.
    Replies(Reply),
}

#[derive(Clone)]
enum Trait {
    Prints(Stream, String),
    Dies(Duration, Exit),
    NeedsToStop(Duration),
    Serves(u16, Service),
    ListensAfter(u16, Duration),
    Answers(Vec<String>, ExecAnswer),
}

/// Everything that was said about machines; of two sayings about the same thing the later one holds.
#[derive(Default)]
pub(crate) struct Scripts(Vec<(String, Trait)>);

impl Scripts {
    fn of<'a>(&'a self, machine: &'a str) -> impl DoubleEndedIterator<Item = &'a Trait> {
        self.0.iter().filter(move |(pattern, _)| matches(pattern, machine)).map(|(_, what)| what)
    }

    /// What process 1 prints at its start.
    pub(crate) fn prints(&self, machine: &str) -> Vec<(Stream, String)> {
        let line = |what: &Trait| match what {
            Trait::Prints(stream, line) => Some((*stream, line.clone())),
            _ => None,
        };
        self.of(machine).filter_map(line).collect()
    }

    /// When and how process 1 ends by itself.
    pub(crate) fn death(&self, machine: &str) -> Option<(Duration, Exit)> {
        self.of(machine).rev().find_map(|what| match what {
            Trait::Dies(after, exit) => Some((*after, exit.clone())),
            _ => None,
        })
    }

    /// How long process 1 goes on after TERM.
    pub(crate) fn needs_to_stop(&self, machine: &str) -> Option<Duration> {
        self.of(machine).rev().find_map(|what| match what {
            Trait::NeedsToStop(time) => Some(*time),
            _ => None,
        })
    }

    /// What listens on a port of a machine that has run for this long.
    pub(crate) fn services(&self, machine: &str, port: u16, ran: Duration) -> Vec<Service> {
        let opens = self.of(machine).rev().find_map(|what| match what {
            Trait::ListensAfter(number, after) if *number == port => Some(*after),
            _ => None,
        });
        if opens.is_some_and(|after| ran < after) {
            return Vec::new();
        }
        let service = |what: &Trait| match what {
            Trait::Serves(number, service) if *number == port => Some(service.clone()),
            _ => None,
        };
        self.of(machine).rev().filter_map(service).collect()
    }

    /// What a command says whose beginning was scripted.
    pub(crate) fn answer(&self, machine: &str, command: &[String]) -> Option<ExecAnswer> {
        self.of(machine).rev().find_map(|what| match what {
            Trait::Answers(start, answer) if command.starts_with(start) => Some(answer.clone()),
            _ => None,
        })
    }
}

/// Says how machines behave. Made by [`FakeProvider::machine`]; every saying holds from the next start, connection or
/// command on.
pub struct ScriptBuilder<'a> {
    fake: &'a FakeProvider,
    pattern: String,
}

impl<'a> ScriptBuilder<'a> {
    pub(crate) fn new(fake: &'a FakeProvider, pattern: &str) -> Self {
        Self { fake, pattern: pattern.to_owned() }
    }

    /// Process 1 prints this line on standard output when it starts.
    pub fn prints(&self, line: &str) -> &Self {
        self.add(Trait::Prints(Stream::Stdout, line.to_owned()))
    }

    /// Process 1 prints this line on standard error when it starts.
    pub fn complains(&self, line: &str) -> &Self {
        self.add(Trait::Prints(Stream::Stderr, line.to_owned()))
    }

    /// Process 1 ends by itself after a while, at every start.
    pub fn dies(&self, after: Duration, code: i64) -> &Self {
        self.add(Trait::Dies(after, Exit { code, out_of_memory: false }))
    }

    /// The kernel ends process 1 for want of memory after a while, at every start.
    pub fn runs_out_of_memory(&self, after: Duration) -> &Self {
        self.add(Trait::Dies(after, Exit { code: 137, out_of_memory: true }))
    }

    /// Process 1 goes on for this long after TERM; it is killed when the caller's grace is shorter.
    pub fn needs_to_stop(&self, time: Duration) -> &Self {
        self.add(Trait::NeedsToStop(time))
    }

    /// A port takes connections and says nothing.
    pub fn listens(&self, port: u16) -> &Self {
        self.add(Trait::Serves(port, Service::Silent))
    }

    /// A port refuses connections until the machine has run for this long.
    pub fn listens_after(&self, port: u16, time: Duration) -> &Self {
        self.add(Trait::ListensAfter(port, time))
    }

    /// A port answers a GET of this path; other paths of the port get 404.
    pub fn http(&self, port: u16, path: &str, status: u16, body: &str) -> &Self {
        let service = Service::Http { path: path.to_owned(), status, body: body.to_owned() };
        self.add(Trait::Serves(port, service))
    }

    /// A port answers the bytes of each read with what the function makes of them.
    pub fn replies(&self, port: u16, reply: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> &Self {
        self.add(Trait::Serves(port, Service::Replies(Arc::new(reply))))
    }

    /// Commands that begin with these words say this, instead of what the built-in ones would.
    pub fn answers(&self, command: &[&str], answer: ExecAnswer) -> &Self {
        self.add(Trait::Answers(command.iter().map(|word| (*word).to_owned()).collect(), answer))
    }

    fn add(&self, what: Trait) -> &Self {
        self.fake.engine.lock().scripts.0.push((self.pattern.clone(), what));
        self
    }
}
