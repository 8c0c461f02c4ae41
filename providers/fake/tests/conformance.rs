//! The conformance suite against machines in memory: it shows that the suite's expectations agree with each other, and
//! that what other crates' tests are played with behaves like the real thing.

use libtest_mimic::{Arguments, Failed, Trial};
use rig_model::{Digest, Name};
use rig_provider_api::conformance::{Case, Fixture, cases};
use rig_provider_fake::{FakeProvider, Verb};
use std::{error::Error, process::ExitCode, time::Duration};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::from_args();
    let fixture = fixture(&fake())?;
    let trials = cases()
        .into_iter()
        .map(|case| {
            let missing = case.missing(&fake(), &fixture);
            let kind = missing.map(|need| format!("needs {need:?}")).unwrap_or_default();
            Trial::test(case.name().to_owned(), move || play(&case))
                .with_ignored_flag(missing.is_some())
                .with_kind(kind)
        })
        .collect();
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

/// A backend that takes its time, so that calls are cut in the middle of them, too.
fn fake() -> FakeProvider {
    let fake = FakeProvider::new();
    for verb in [Verb::Create, Verb::Start, Verb::Destroy, Verb::SaveSnapshot, Verb::RestoreSnapshot] {
        fake.on(verb).of("conformance/cut*").takes(Duration::from_millis(5));
        fake.on(verb).of("conformance/cut*").after().takes(Duration::from_millis(30));
    }
    fake.machine("*").http(8000, "/hello", 200, "hello");
    for silent in ["deaf", "nobody"] {
        fake.machine(&format!("conformance/{silent}")).listens_after(8000, Duration::MAX);
    }
    fake
}

fn fixture(fake: &FakeProvider) -> Result<Fixture, Box<dyn Error>> {
    let box_name = Name::new("busybox")?;
    let image = fake.add_box(&box_name, &Digest::of(b"busybox"), None);
    let subnets = ["10.77.0.0/25".parse()?, "10.77.0.128/25".parse()?];
    Ok(Fixture::posix(Name::new("suite")?, box_name, image, subnets))
}

fn play(case: &Case) -> Result<(), Failed> {
    let fake = fake();
    let fixture = fixture(&fake).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(case.run(&fake, &fixture))?)
}
