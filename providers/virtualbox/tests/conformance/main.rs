//! The conformance suite on the real VirtualBox, entered over SSH as rig enters it. `RIG_VIRTUALBOX` names the folder that `cargo xtask
//! vbox-lab` has made; without it the suite fails. What machines with an init of their own do not owe is listed as ignored.

mod stand;

use libtest_mimic::{Arguments, Failed, Trial};
use rig_provider_api::conformance::{Case, cases};
use stand::Stand;
use std::{io::Write, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;

/// Each machine keeps a processor busy where its instructions are interpreted.
const AT_ONCE: usize = 2;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        // Nothing is left to do if even this cannot be said.
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, String> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    if arguments.list {
        let trials = cases().iter().map(|case| Trial::test(case.name(), || Ok(()))).collect();
        return Ok(libtest_mimic::run(&arguments, trials).exit_code());
    }
    let runtime = Arc::new(Runtime::new().map_err(|error| format!("starting the runtime: {error}"))?);
    let stand = Arc::new(runtime.block_on(Stand::new())?);
    let mut trials = Vec::new();
    for (number, case) in (0..).zip(cases()) {
        let (runtime, stand) = (Arc::clone(&runtime), Arc::clone(&stand));
        let missing = {
            let (_folder, provider, fixture) = stand.play(number)?;
            case.missing(provider.as_ref(), &fixture)
        };
        let kind = missing.map(|need| format!("needs {need:?}")).unwrap_or_default();
        trials.push(
            Trial::test(case.name().to_owned(), move || play(&runtime, &stand, &case, number))
                .with_ignored_flag(missing.is_some())
                .with_kind(kind),
        );
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    runtime.block_on(stand.clear())?;
    Ok(conclusion.exit_code())
}

fn play(runtime: &Runtime, stand: &Stand, case: &Case, number: u8) -> Result<(), Failed> {
    let (_folder, provider, fixture) = stand.play(number)?;
    Ok(runtime.block_on(case.run(provider.as_ref(), &fixture))?)
}
