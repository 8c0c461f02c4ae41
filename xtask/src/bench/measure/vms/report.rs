//! The section of `docs/performance.md` about virtual machines.

use super::{
    super::{
        report::times,
        results::{Series, ratio},
    },
    RIG, Results,
    qemu::{BOXES, PLAIN},
    virtualbox::{MACHINES, Step, VAGRANT},
};
use std::fmt::Write as _;

/// How much longer than by hand a login may take.
const GOAL: f64 = 1.1;

/// The section.
pub(super) fn section(machine: &str, rounds: usize, results: &Results) -> String {
    let versions: Vec<String> = results.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    let mut text = format!(
        "## Virtual machines\n\n{machine}. Rounds: {rounds}. {}.\n\n\
         *{PLAIN}* is the command line that rig starts the machine with, a new disk by `qemu-img create`, and `ssh` that tries until it is let in, a second each time (`ConnectTimeout=1`, the shortest that it knows); rig knocks more often. Boxes are built. VirtualBox is that of `cargo xtask vbox-lab`, and its\n\
         machines are tiny ones; rig's have a private network, names and a key of their own, Vagrant's have none of these, and their `halt` is forced. Programs are calls of `VBoxManage`, the most of all rounds.\n\n",
        versions.join("; ")
    );
    let _ = writeln!(text, "| from nothing to a login | rig | {PLAIN} | rig ÷ by hand |\n|---|---|---|---|");
    for (of_box, _) in BOXES {
        let cell = |who| results.login.get(&(of_box, who)).map_or_else(|| "–".to_owned(), Series::cell);
        let _ = writeln!(
            text,
            "| {of_box} | {} | {} | {} |",
            cell(RIG),
            cell(PLAIN),
            times(login(results, of_box, RIG), login(results, of_box, PLAIN))
        );
    }
    if !results.steps.is_empty() {
        let _ = writeln!(
            text,
            "\n| VirtualBox, {MACHINES} machines | rig, programs | vagrant, programs | rig, s | vagrant, s | vagrant ÷ rig, s |\n|---|---|---|---|---|---|"
        );
        for step in Step::ALL {
            let cost = |who| results.steps.get(&(step, who)).filter(|cost| cost.time.median().is_some());
            let programs = |who| cost(who).map_or_else(|| "–".to_owned(), |cost| cost.programs.to_string());
            let cell = |who| results.steps.get(&(step, who)).map_or_else(|| "–".to_owned(), |cost| cost.time.cell());
            let median = |who| cost(who).and_then(|cost| cost.time.median());
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                step.title(),
                programs(RIG),
                programs(VAGRANT),
                cell(RIG),
                cell(VAGRANT),
                times(median(VAGRANT), median(RIG))
            );
        }
    }
    let _ = writeln!(text, "\n| goal | measured | |\n|---|---|---|");
    for (of_box, _) in BOXES {
        let measured = ratio(login(results, of_box, RIG), login(results, of_box, PLAIN));
        let (shown, verdict) = match measured {
            Some(ratio) => (format!("{ratio:.2}"), if ratio <= GOAL { "met" } else { "**missed**" }),
            None => ("–".to_owned(), "not measured"),
        };
        let _ = writeln!(text, "| {of_box}, from nothing to a login: rig ÷ by hand ≤ {GOAL} | {shown} | {verdict} |");
    }
    let failures = failures(results);
    if !failures.is_empty() {
        let _ = writeln!(text, "\nWhat failed or was left out:\n\n{}", failures.join("\n"));
    }
    text
}

fn login(results: &Results, of_box: &'static str, who: &'static str) -> Option<f64> {
    results.login.get(&(of_box, who)).and_then(Series::median)
}

fn failures(results: &Results) -> Vec<String> {
    let logins = results
        .login
        .iter()
        .filter_map(|((of_box, who), series)| Some(format!("* {of_box} by {who}: {}", series.failure.as_ref()?)));
    let steps = results
        .steps
        .iter()
        .filter_map(|((step, who), cost)| Some(format!("* {who}, {}: {}", step.title(), cost.time.failure.as_ref()?)));
    let left_out = results.left_out.iter().map(|text| format!("* {text}"));
    logins.chain(steps).chain(left_out).map(|text| text.replace('\n', " ")).collect()
}
