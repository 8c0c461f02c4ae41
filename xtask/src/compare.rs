//! `cargo xtask compare`: the two idioms of the root workspace in numbers.

use crate::cargo::{self, Result, release, rig};
use std::time::Instant;

/// Where the report goes.
const FOLDER: &str = "target/compare";

/// Installs what is missing, makes the boxes, and compares with everything else at rest; `quick` within minutes.
pub(crate) fn run(quick: bool) -> Result {
    let began = Instant::now();
    let program = release()?;
    let folder = cargo::root().join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
    let (page, document) = (folder.join("report.html"), folder.join("report.json"));
    let (page, document) = (page.to_string_lossy().into_owned(), document.to_string_lossy().into_owned());
    cargo::run("rig doctor --fix", &mut rig(&program, &["doctor", "--fix"]))?;
    cargo::run("rig box build", &mut rig(&program, &["box", "build"]))?;
    cargo::run("rig halt", &mut rig(&program, &["halt"]))?;
    let mut arguments = vec!["compare", "--html", &page, "--json", &document];
    arguments.extend(quick.then_some("--quick"));
    cargo::run("rig compare", &mut rig(&program, &arguments))?;
    println!(
        "\nCompared in {:.0} s. What was up before is halted: {} up",
        began.elapsed().as_secs_f64(),
        program.display()
    );
    Ok(())
}
