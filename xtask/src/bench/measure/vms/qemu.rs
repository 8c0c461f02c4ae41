//! From nothing to a login on QEMU, by rig and by hand.

use super::{
    super::{contender::PREFIX, options::Options, program},
    RIG, Results, Setting,
    plain::Plain,
};
use crate::cargo::Result;
use std::path::PathBuf;

/// A box, and the line in its `bootstrap` that makes it one for virtual machines.
pub(super) const BOXES: [(&str, &str); 2] = [("tiny-vm", "tiny"), ("debian-vm", "kernel")];

/// Who does it by hand.
pub(super) const PLAIN: &str = "QEMU by hand";

/// Does every round with each box.
///
/// # Errors
/// When a machine is left that would be measured along with the next; what fails otherwise is a result.
pub(super) fn all(options: &Options, setting: &Setting, results: &mut Results) -> Result {
    for (of_box, line) in BOXES {
        println!("{of_box}: making the box");
        match Pair::prepare(setting, of_box, line) {
            Ok(pair) => pair.rounds(options, setting, results)?,
            Err(error) => results.left_out.push(format!("{of_box}: {error}")),
        }
    }
    results.versions.push(("QEMU", program::first_line(std::process::Command::new("qemu-img").arg("--version"))?));
    Ok(())
}

/// The same machine, by rig and by hand.
struct Pair {
    of_box: &'static str,
    workspace: PathBuf,
    plain: Plain,
}

impl Pair {
    /// Makes the box and a first machine, whose command line is what is done by hand later.
    fn prepare(setting: &Setting, of_box: &'static str, line: &str) -> Result<Self> {
        let text = format!(
            r#"workspace "{PREFIX}-{of_box}"
box "{of_box}" {{ bootstrap "bookworm" {{ {line}; }} }}
topology "t" idiom="mutable" {{
    machine "m" {{
        provider "qemu"
        box "{of_box}"
        limits cpus=1 memory="512MiB"
    }}
}}
"#
        );
        let workspace = setting.workspace(of_box, &text)?;
        let up = program::run("rig up", &mut setting.rig(&workspace, &["up"]), &setting.folder);
        let plain = up.and_then(|_| Plain::of(setting, &workspace, of_box));
        program::run("rig destroy", &mut setting.rig(&workspace, &["destroy", "-f"]), &setting.folder)?;
        Ok(Self { of_box, workspace, plain: plain? })
    }

    fn rounds(&self, options: &Options, setting: &Setting, results: &mut Results) -> Result {
        for round in 0..options.rounds {
            println!("{}, round {} of {}", self.of_box, round + 1, options.rounds);
            let mut turns = [RIG, PLAIN];
            turns.rotate_left(round % 2);
            for who in turns {
                let took = if who == RIG {
                    program::run("rig up", &mut setting.rig(&self.workspace, &["up"]), &setting.folder)
                } else {
                    self.plain.login()
                };
                let series = results.login.entry((self.of_box, who)).or_default();
                match took {
                    Ok(took) => {
                        println!("  {who}: {:.2} s", took.as_secs_f64());
                        series.add(took);
                    }
                    Err(error) => series.fail(&error),
                }
                if who == RIG {
                    let mut destroy = setting.rig(&self.workspace, &["destroy", "-f"]);
                    program::run("rig destroy", &mut destroy, &setting.folder)?;
                } else {
                    self.plain.end()?;
                }
            }
        }
        Ok(())
    }
}
