//! The commands that machines in memory know: enough of a shell for tests that run on real machines too.
//!
//! `true`, `false`, `echo`, `exit N`, `sleep N|infinity`, `cat [FILE…]`, `rm FILE…`, `env`, `hostname`, `whoami`, `pwd`,
//! `trap 'exit N'|'' TERM`, `wait`; and `sh -c` with lines of these, separated by `;`, with quotes, `> FILE` and `>&2`.
//! A lone `&` separates too: what it would leave in the background runs to its end first.

use crate::{
    engine::Engine,
    state::{Key, OnTerm},
    usage::Work,
};
use bytes::Bytes;
use rig_model::Stream;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, DuplexStream};

/// Takes output.
pub(crate) type Out = Box<dyn FnMut(Stream, Bytes) + Send>;

/// The exit code of a shell that finds no such program.
const NOT_FOUND: i64 = 127;

/// What a command runs in.
pub(crate) struct Process {
    engine: Arc<Engine>,
    machine: Key,
    out: Out,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) workdir: String,
    pub(crate) stdin: Option<DuplexStream>,
}

impl Process {
    /// A process with the machine's own environment and user, without input.
    pub(crate) fn new(engine: Arc<Engine>, machine: Key, out: Out) -> Self {
        let (env, user) = {
            let inside = engine.lock();
            let spec = inside.world.machines.get(&machine).map(|there| &there.spec);
            let env = spec.map(|spec| spec.env.clone()).unwrap_or_default();
            let user = spec.and_then(|spec| spec.security.user.clone());
            (env, user.unwrap_or_else(|| "root".to_owned()))
        };
        Self { engine, machine, out, env, user, workdir: "/".to_owned(), stdin: None }
    }
}

/// A parsed command.
pub(crate) struct Program {
    steps: Vec<Step>,
}

/// One command of a line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    words: Vec<String>,
    target: Target,
}

/// Where a command's standard output goes.
#[derive(Debug, Default, PartialEq, Eq)]
enum Target {
    #[default]
    Stdout,
    Stderr,
    File(String),
}

/// How a step ended.
enum Flow {
    Goes(i64),
    Exits(i64),
}

impl Program {
    /// Reads a command; `None` when it is empty or, other than a shell's line, not known here.
    pub(crate) fn parse(command: &[String]) -> Option<Self> {
        let is_shell = |word: &str| matches!(word.rsplit('/').next(), Some("sh" | "bash"));
        let program = match command {
            [] => return None,
            [shell, flag, line, ..] if is_shell(shell) && flag == "-c" => Self { steps: steps(line) },
            words => Self { steps: vec![Step { words: words.to_vec(), target: Target::Stdout }] },
        };
        program.steps.iter().all(Step::is_known).then_some(program)
    }

    /// Reads a command as [`Self::parse`] does, but takes lines of a shell with unknown commands too: running those
    /// ends with 127.
    pub(crate) fn parse_any_line(command: &[String]) -> Option<Self> {
        Self::parse(command).or_else(|| {
            let [_, flag, line, ..] = command else { return None };
            (flag == "-c").then(|| Self { steps: steps(line) })
        })
    }

    /// Runs it to its end; returns its exit code.
    pub(crate) async fn run(&self, process: &mut Process) -> i64 {
        let mut last = 0;
        for step in &self.steps {
            match step.run(process).await {
                Flow::Goes(code) => last = code,
                Flow::Exits(code) => return code,
            }
        }
        last
    }
}

impl Step {
    fn name(&self) -> &str {
        let word = self.words.first().map_or("", String::as_str);
        word.rsplit('/').next().unwrap_or(word)
    }

    fn is_known(&self) -> bool {
        matches!(
            self.name(),
            "true"
                | "false"
                | "echo"
                | "exit"
                | "sleep"
                | "cat"
                | "rm"
                | "env"
                | "hostname"
                | "whoami"
                | "pwd"
                | "trap"
                | "wait"
        )
    }

    async fn run(&self, process: &mut Process) -> Flow {
        process.engine.lock().world.count(&process.machine, Work::command);
        let arguments = self.words.get(1..).unwrap_or_default();
        let first = arguments.first().map_or("", String::as_str);
        let said = match self.name() {
            "true" => Ok(Bytes::new()),
            "false" => return Flow::Goes(1),
            "exit" => return Flow::Exits(first.parse().unwrap_or(0)),
            "wait" => Ok(Bytes::new()),
            "sleep" => {
                match first.parse() {
                    Ok(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                    Err(_) => std::future::pending().await,
                }
                Ok(Bytes::new())
            }
            "trap" => {
                trap(process, first);
                Ok(Bytes::new())
            }
            "echo" => Ok(format!("{}\n", arguments.join(" ")).into()),
            "pwd" => Ok(format!("{}\n", process.workdir).into()),
            "whoami" => Ok(format!("{}\n", process.user).into()),
            "hostname" => read(process, "/etc/hostname"),
            "env" => Ok(process.env.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>().into()),
            "cat" if arguments.is_empty() => match &self.target {
                Target::File(_) => Ok(read_input(process).await),
                _ => return Flow::Goes(copy_input(process).await),
            },
            "cat" => arguments
                .iter()
                .map(|path| read(process, path))
                .collect::<Result<Vec<_>, _>>()
                .map(|all| all.concat().into()),
            "rm" => {
                let missing = arguments.iter().find(|path| !process.engine.lock().world.remove(&process.machine, path));
                missing.map_or(Ok(Bytes::new()), |path| Err(format!("rm: {path}: No such file or directory")))
            }
            unknown => {
                (process.out)(Stream::Stderr, format!("sh: {unknown}: not found\n").into());
                return Flow::Goes(NOT_FOUND);
            }
        };
        match said.and_then(|bytes| self.put(process, bytes)) {
            Ok(()) => Flow::Goes(0),
            Err(why) => {
                if !why.is_empty() {
                    (process.out)(Stream::Stderr, format!("{why}\n").into());
                }
                Flow::Goes(1)
            }
        }
    }

    /// Brings a step's output to its place.
    fn put(&self, process: &mut Process, bytes: Bytes) -> Result<(), String> {
        match &self.target {
            Target::File(path) => {
                let mut inside = process.engine.lock();
                inside.world.write(&process.machine, path, bytes.to_vec()).map_err(|why| format!("sh: {path}: {why}"))
            }
            _ if bytes.is_empty() => Ok(()),
            Target::Stdout => {
                (process.out)(Stream::Stdout, bytes);
                Ok(())
            }
            Target::Stderr => {
                (process.out)(Stream::Stderr, bytes);
                Ok(())
            }
        }
    }
}

fn read(process: &Process, path: &str) -> Result<Bytes, String> {
    let content = process.engine.lock().world.read(&process.machine, path);
    content.map(Bytes::from).ok_or_else(|| format!("cat: {path}: No such file or directory"))
}

/// Reads standard input until it is closed.
async fn read_input(process: &mut Process) -> Bytes {
    let mut content = Vec::new();
    if let Some(mut stdin) = process.stdin.take() {
        // What came before a failure is there, as it would be in a file.
        let _ = stdin.read_to_end(&mut content).await;
    }
    content.into()
}

/// Copies standard input to standard output until it is closed.
async fn copy_input(process: &mut Process) -> i64 {
    let Some(mut stdin) = process.stdin.take() else { return 0 };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) | Err(_) => return 0,
            Ok(length) => (process.out)(Stream::Stdout, Bytes::copy_from_slice(&buffer[..length])),
        }
    }
}

/// Says what process 1 does on TERM.
fn trap(process: &Process, action: &str) {
    let on_term = match action.strip_prefix("exit") {
        Some(code) => OnTerm::Ends(code.trim().parse().unwrap_or(0)),
        None => OnTerm::Ignores,
    };
    if let Some(machine) = process.engine.lock().world.machines.get_mut(&process.machine) {
        machine.on_term = on_term;
    }
}

/// Splits a line into its commands.
fn steps(line: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = Step::default();
    let mut redirect = false;
    let mut characters = line.chars().peekable();
    while let Some(&next) = characters.peek() {
        match next {
            ';' | '&' | '\n' => {
                characters.next();
                steps.push(std::mem::take(&mut step));
            }
            '>' => {
                characters.next();
                if characters.next_if_eq(&'&').is_some() {
                    step.target = Target::Stderr;
                    characters.next();
                } else {
                    redirect = true;
                }
            }
            space if space.is_whitespace() => {
                characters.next();
            }
            _ => {
                let word = word(&mut characters);
                if std::mem::take(&mut redirect) {
                    step.target = Target::File(word);
                } else {
                    step.words.push(word);
                }
            }
        }
    }
    steps.push(step);
    steps.retain(|step| !step.words.is_empty());
    steps
}

fn word(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::new();
    let mut quote = None;
    while let Some(next) =
        characters.next_if(|next| quote.is_some() || !(next.is_whitespace() || ";&>".contains(*next)))
    {
        match quote {
            Some(open) if open == next => quote = None,
            None if next == '\'' || next == '"' => quote = Some(next),
            _ => word.push(next),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_at_separators_outside_quotes() {
        let words = |step: &Step| step.words.join("|");
        let split = steps("trap 'exit 0; now' TERM; echo a >&2; echo \"b c\" > /data/x & wait");
        assert_eq!(
            split.iter().map(words).collect::<Vec<_>>(),
            ["trap|exit 0; now|TERM", "echo|a", "echo|b c", "wait"]
        );
        assert_eq!(split[1].target, Target::Stderr);
        assert_eq!(split[2].target, Target::File("/data/x".to_owned()));
    }

    #[test]
    fn a_service_is_no_program_of_ours() {
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(Program::parse(&command(&["/usr/bin/java", "-jar", "x.jar"])).is_none());
        assert!(Program::parse(&command(&["sh", "-c", "exec java"])).is_none());
        assert!(Program::parse_any_line(&command(&["sh", "-c", "exec java"])).is_some());
        assert!(Program::parse(&command(&["/bin/sh", "-c", "echo a; exit 3"])).is_some());
    }
}
