//! The arguments of `cargo xtask bench`.

use crate::cargo::Result;

const HELP: &str = "\
cargo xtask bench --vms [--rounds N] [--quick]
cargo xtask bench [--rounds N] [--quick] [--only PART]… [--engine current|current-apart|debian|unix://SOCKET]

  --vms        virtual machines instead of containers, beside QEMU's own command line and Vagrant; --quick writes nothing
  --rounds N   how often everything is done; what is printed are medians [default: 5]
  --quick      2 rounds, 1 and 5 machines, no clusters, no SSH; docs/performance.md is not written
  --only PART  machines, spark, ssh or own; docs/performance.md is not written
  --engine     current: the one of Debian sid, started for this run; current-apart: the same in a network of its own,
               beside an engine that is in use, without Spark and Vagrant; debian: the one of Debian stable, that runs or is started
               [default: DOCKER_HOST, /var/run/docker.sock]";

/// Which engine is measured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EngineChoice {
    /// Whatever answers.
    Any,
    /// The newest that Debian has.
    Current,
    /// The same, beside another one.
    CurrentApart,
    /// Debian stable's.
    Debian,
    /// The one behind this socket.
    Socket(String),
}

/// Parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Trivial machines by all contenders.
    Machines,
    /// Clusters of Spark and Cassandra.
    Spark,
    /// Commands, uploads and provisioning.
    Ssh,
    /// rig alone.
    Own,
}

impl Part {
    const ALL: [(&str, Self); 4] =
        [("machines", Self::Machines), ("spark", Self::Spark), ("ssh", Self::Ssh), ("own", Self::Own)];
}

/// What is measured.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// How often.
    pub(super) rounds: usize,
    /// Virtual machines, which need no engine.
    pub(super) vms: bool,
    /// Only to see that everything works.
    pub(super) quick: bool,
    /// Only these; all when empty.
    only: Vec<Part>,
    /// Where.
    pub(super) engine: EngineChoice,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When one is unknown or has no sensible value.
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let (mut rounds, mut quick, mut vms) = (None, false, false);
        let (mut engine, mut only) = (EngineChoice::Any, Vec::new());
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            match argument {
                "--quick" => quick = true,
                "--vms" => vms = true,
                "--rounds" => {
                    let number =
                        rest.next().and_then(|text| text.parse().ok()).filter(|number| (1..=1000).contains(number));
                    rounds = Some(number.ok_or_else(|| format!("--rounds wants a number from 1 to 1000\n\n{HELP}"))?);
                }
                "--only" => {
                    let wanted = rest.next().unwrap_or_default();
                    let part = Part::ALL.into_iter().find(|(name, _)| *name == wanted).map(|(_, part)| part);
                    only.push(part.ok_or_else(|| format!("--only does not know {wanted:?}\n\n{HELP}"))?);
                }
                "--engine" => engine = Self::engine(rest.next().unwrap_or_default())?,
                other => return Err(format!("unknown argument {other:?}\n\n{HELP}")),
            }
        }
        if vms && !(only.is_empty() && engine == EngineChoice::Any) {
            return Err(format!("--vms is measured whole, and without an engine\n\n{HELP}"));
        }
        Ok(Self { rounds: rounds.unwrap_or(if quick { 2 } else { 5 }), vms, quick, only, engine })
    }

    fn engine(text: &str) -> Result<EngineChoice> {
        match text {
            "current" => Ok(EngineChoice::Current),
            "current-apart" => Ok(EngineChoice::CurrentApart),
            "debian" => Ok(EngineChoice::Debian),
            _ => match text.strip_prefix("unix://") {
                Some(socket) if !socket.is_empty() => Ok(EngineChoice::Socket(socket.to_owned())),
                _ => Err(format!("--engine does not know {text:?}\n\n{HELP}")),
            },
        }
    }

    /// Whether a part is measured.
    pub(super) fn wants(&self, part: Part) -> bool {
        let heavy = matches!(part, Part::Spark | Part::Ssh);
        if self.only.is_empty() { !(self.quick && heavy) } else { self.only.contains(&part) }
    }

    /// Whether everything is measured as often as it should be.
    pub(super) fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty()
    }

    /// How many machines are brought up at once.
    pub(super) fn counts(&self) -> &'static [usize] {
        if self.quick { &[1, 5] } else { &[1, 5, 10, 50] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        Options::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read() {
        let options = parse("--engine unix:///run/x.sock --rounds 3").expect("valid arguments");
        assert_eq!((options.rounds, options.engine), (3, EngineChoice::Socket("/run/x.sock".to_owned())));
        assert_eq!(parse("--quick").expect("valid arguments").rounds, 2);
        let options = parse("--only ssh").expect("valid arguments");
        assert!(options.wants(Part::Ssh) && !options.wants(Part::Own) && !options.is_whole());
        assert!(parse("--rounds 0").is_err() && parse("--engine tcp://x").is_err() && parse("--fast").is_err());
        assert!(parse("--only all").is_err() && parse("--vms --only ssh").is_err());
        assert!(parse("--vms").expect("valid arguments").vms);
    }
}
