//! Development tasks. `test` and `demo` are the two commands of the README; both are thin: what they do is in the product.

mod bench;
mod cargo;
mod compare;
mod cross;
mod demo;
mod lab;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <task>

  test [--fast]   everything that says that the project is sound; --fast leaves out engines, clusters and other platforms
  demo            installs what is missing, brings the root workspace up, runs its checks, compares its idioms
  compare         measures the idioms of the root workspace, five rounds, 40 minutes; --quick three short ones, 8 minutes
  cross           builds for Windows, type-checks for macOS
  vbox-lab        makes the real VirtualBox run without its kernel driver, and a small box for it, for tests and trials
  lab             starts and stops a current Docker engine of Debian's next release, for trials
  bench           measures rig beside the raw engine API, compose and Vagrant; writes docs/performance.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("test") => test::run(arguments.iter().any(|argument| argument == "--fast")),
        Some("demo") => demo::run(),
        Some("compare") => compare::run(arguments.iter().any(|argument| argument == "--quick")),
        Some("cross") => cross::cross(),
        Some("bench") => bench::run(&arguments[1..]),
        Some("vbox-lab") => lab::virtualbox::run(),
        Some("lab") => lab::run(&arguments[1..]),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
