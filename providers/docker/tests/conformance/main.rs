//! The conformance suite against a Docker engine: the default one, or the one that `RIG_TEST_ENGINE` names. Without an
//! engine it fails; it never skips.

mod engine_only;
mod rootfs;
mod stand;

use engine_only::Look;
use libtest_mimic::{Arguments, Failed, Trial};
use rig_provider_api::conformance::{Case, Need, cases};
use stand::Stand;
use std::{io::Write, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;

/// Cases wait for the engine most of the time, so that more of them run at once than there are processors.
const AT_ONCE: usize = 8;

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
    // Ports of containers are published when they are made; no engine has others.
    let cases: Vec<Case> = cases().into_iter().filter(|case| !case.needs(Need::Forwards)).collect();
    if arguments.list {
        let names = cases.iter().map(Case::name).chain(Look::ALL.map(Look::name));
        let trials = names.map(|name| Trial::test(name, || Ok(()))).collect();
        return Ok(libtest_mimic::run(&arguments, trials).exit_code());
    }
    let runtime = Arc::new(Runtime::new().map_err(|error| format!("starting the runtime: {error}"))?);
    let stand = Arc::new(runtime.block_on(Stand::new())?);
    let mut numbers = 0..;
    let mut trials = Vec::new();
    for (number, case) in numbers.by_ref().zip(cases) {
        let (runtime, stand) = (Arc::clone(&runtime), Arc::clone(&stand));
        trials.push(Trial::test(case.name().to_owned(), move || play(&runtime, &stand, &case, number)));
    }
    for (number, look) in numbers.zip(Look::ALL) {
        let (runtime, stand) = (Arc::clone(&runtime), Arc::clone(&stand));
        trials.push(Trial::test(look.name(), move || {
            let fixture = stand.fixture(number)?;
            runtime.block_on(look.run(&stand, &fixture)).map_err(|error| error.to_string().into())
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    runtime.block_on(stand.clear())?;
    Ok(conclusion.exit_code())
}

fn play(runtime: &Runtime, stand: &Stand, case: &Case, number: u8) -> Result<(), Failed> {
    let fixture = stand.fixture(number)?;
    if let Some(need) = case.missing(&stand.provider, &fixture) {
        return Err(format!("the provider lacks what every engine has: {need:?}").into());
    }
    Ok(runtime.block_on(case.run(&stand.provider, &fixture))?)
}
