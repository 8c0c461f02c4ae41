//! `cargo xtask lab`: the current engine, for trials by hand.

use super::{
    current_engine,
    dockerd::{Dockerd, Network},
};
use crate::cargo::Result;

const HELP: &str = "\
cargo xtask lab start|stop|status [--apart]

  start     a current Docker engine (Debian sid's), made in about a minute when it is not there; refused beside a running one
  stop      stops it with its containers; its images and volumes stay
  status    says whether it runs, and where its socket is
  --apart   the one in a network of its own: beside an engine that is in use, but nobody reaches its containers";

/// Does what the arguments say.
///
/// # Errors
/// When they are wrong, or the engine does not start or stop.
pub(crate) fn run(arguments: &[String]) -> Result {
    let network = match arguments.get(1).map(String::as_str) {
        None => Network::Host,
        Some("--apart") => Network::Own,
        Some(other) => return Err(format!("unknown argument {other:?}\n\n{HELP}")),
    };
    match arguments.first().map(String::as_str) {
        Some("start") => {
            let socket = current_engine::start(network)?;
            println!("it answers at unix://{}", socket.display());
            Ok(())
        }
        Some("stop") => current_engine::stop(network),
        Some("status") => {
            println!("{}", status(&current_engine::engine(network)));
            Ok(())
        }
        _ => Err(HELP.to_owned()),
    }
}

fn status(engine: &Dockerd) -> String {
    engine.pid().map_or_else(
        || "it does not run".to_owned(),
        |pid| format!("process {pid} answers at unix://{}", engine.socket().display()),
    )
}
