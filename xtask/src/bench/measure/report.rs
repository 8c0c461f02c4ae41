//! The results as a section of `docs/performance.md`: one for each engine, the rest of the file stays as it is.

use super::{
    contender::Step,
    goals,
    results::{Results, Series, ratio},
    spark, ssh,
};
use crate::cargo::{Result, root};
use std::{fmt::Write as _, fs};

const HEADING: &str = "## Engine ";
const INTRODUCTION: &str = "\
# Performance

Written by `cargo xtask bench`, which replaces the section of the engine that it ran on; with `--vms` that of virtual machines; other text here is kept.
Seconds, as medians of all rounds with the smallest and largest in parentheses. In each round every contender has its
turn, in an order that moves on; compare numbers only within a section. A trivial machine is one busybox shell that ends at once when it is
asked to. All use the same image. *api* is the Engine API with eight calls at a time, rig's flags, and no look at anything in between: it
prints no plan and checks nothing, so that it is a lower bound. Its second `up` and its `status` are one list of the containers.
rig and *api* kill what they destroy, compose and Vagrant stop it first. Clusters are those of the root workspace, boxes already
built; *script* is a shell script of docker commands with the same images and flags, polling the same page; the naughty one then does the steps of the
recipes with OpenSSH, one connection per machine, machines at the same time. For SSH, rig and OpenSSH use the same machine, key and
pinned host key; rig's times include reading the file and asking the engine for the machine. Vagrant's machine is of the same image.
";

/// What the numbers belong to.
pub(super) struct Subject {
    /// The engine's version.
    pub(super) engine: String,
    /// API version, storage driver.
    pub(super) engine_details: String,
    /// The host.
    pub(super) machine: String,
    /// How often.
    pub(super) rounds: usize,
    /// How many machines.
    pub(super) counts: &'static [usize],
    /// Name and version of each contender, in the order of the columns.
    pub(super) contenders: Vec<(&'static str, String)>,
}

/// The section.
pub(super) fn section(subject: &Subject, results: &Results) -> String {
    let mut text = format!("{HEADING}{}\n\n", subject.engine);
    let versions: Vec<String> = subject.contenders.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    let _ = writeln!(
        text,
        "{}; {}. Rounds: {}. {}.\n",
        subject.machine,
        subject.engine_details,
        subject.rounds,
        versions.join("; ")
    );
    for step in Step::ALL {
        text += &table(step, subject, results);
    }
    if !results.spark.is_empty() {
        let _ = writeln!(text, "| clusters | rig | script | rig ÷ script |\n|---|---|---|---|");
        for row in [spark::IMMUTABLE, spark::NAUGHTY, spark::EVERYTHING] {
            let cell = |who| results.spark.get(&(row, who)).map_or_else(|| "–".to_owned(), Series::cell);
            let median = |who| results.spark.get(&(row, who)).and_then(Series::median);
            let ratio = times(median("rig"), median(spark::SCRIPT));
            let _ = writeln!(text, "| {row} | {} | {} | {ratio} |", cell("rig"), cell(spark::SCRIPT));
        }
        text.push('\n');
    }
    if !results.ssh.is_empty() {
        let _ = writeln!(text, "| SSH | rig | OpenSSH | vagrant | rig ÷ OpenSSH |\n|---|---|---|---|---|");
        for row in [ssh::COMMAND, ssh::UPLOAD, ssh::PROVISION] {
            let cell = |who| results.ssh.get(&(row, who)).map_or_else(|| "–".to_owned(), Series::cell);
            let median = |who| results.ssh.get(&(row, who)).and_then(Series::median);
            let ratio = times(median("rig"), median(ssh::OPENSSH));
            let (rig, openssh, vagrant) = (cell("rig"), cell(ssh::OPENSSH), cell(ssh::VAGRANT));
            let _ = writeln!(text, "| {row} | {rig} | {openssh} | {vagrant} | {ratio} |");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "| rig by itself | seconds |\n|---|---|");
    for (title, series) in &results.own {
        let _ = writeln!(text, "| {title} | {} |", series.cell());
    }
    if let Some(memory) = results.memory {
        let _ = writeln!(text, "| largest resident memory, `rig up` of 100 machines | {memory:.1} MB |");
    }
    let _ = writeln!(text, "\n| goal | measured | |\n|---|---|---|");
    for goal in goals::all(results, subject.counts) {
        let verdict = if goal.measured.is_none() {
            "not measured"
        } else if goal.met {
            "met"
        } else {
            "**missed**"
        };
        let _ = writeln!(text, "| {} | {} | {verdict} |", goal.text, goal.measured.as_deref().unwrap_or("–"));
    }
    let failures = failures(results);
    if !failures.is_empty() {
        let _ = writeln!(text, "\nWhat failed or was left out:\n\n{}", failures.join("\n"));
    }
    text
}

fn table(step: Step, subject: &Subject, results: &Results) -> String {
    let names: Vec<&'static str> = subject.contenders.iter().map(|(name, _)| *name).collect();
    let others: Vec<&'static str> = names.iter().copied().filter(|name| *name != "rig").collect();
    let ratios: Vec<String> = others.iter().map(|name| format!("{name} ÷ rig")).collect();
    let mut text = format!("| {} | {} | {} |\n", step.title(), names.join(" | "), ratios.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(1 + names.len() + ratios.len()));
    for &count in subject.counts {
        let cells = names
            .iter()
            .map(|name| results.machines.get(&(step, count, *name)).map_or_else(|| "–".to_owned(), Series::cell));
        let rig = results.median(step, count, "rig");
        let ratios = others.iter().map(|name| times(results.median(step, count, name), rig));
        let _ = writeln!(text, "| {count} | {} |", cells.chain(ratios).collect::<Vec<_>>().join(" | "));
    }
    text + "\n"
}

/// How many times one median is another.
pub(super) fn times(over: Option<f64>, under: Option<f64>) -> String {
    ratio(over, under).map_or_else(
        || "–".to_owned(),
        |ratio| if ratio < 9.95 { format!("{ratio:.2}") } else { format!("{ratio:.0}") },
    )
}

/// Everything that failed, once each, without the names of this host's folders.
fn failures(results: &Results) -> Vec<String> {
    let machines = results.machines.iter().filter_map(|((step, count, name), series)| {
        Some(format!("* {name}, {} of {count}: {}", step.title(), series.failure.as_ref()?))
    });
    let spark = results
        .spark
        .iter()
        .filter_map(|((row, who), series)| Some(format!("* {row} by {who}: {}", series.failure.as_ref()?)));
    let own = results.own.iter().filter_map(|(title, series)| Some(format!("* {title}: {}", series.failure.as_ref()?)));
    let over_ssh = results
        .ssh
        .iter()
        .filter_map(|((row, who), series)| Some(format!("* {row} by {who}: {}", series.failure.as_ref()?)));
    let left_out = results.left_out.iter().map(|text| format!("* {text}"));
    let all = machines.chain(spark).chain(over_ssh).chain(own).chain(left_out);
    all.map(|text| text.replace(&root().display().to_string(), ".").replace('\n', " ")).collect()
}

/// Puts the section in the place of the older one of the same engine, or at the end.
///
/// # Errors
/// When the file cannot be read or written.
pub(super) fn write(section: &str) -> Result {
    let path = root().join("docs").join("performance.md");
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => INTRODUCTION.to_owned(),
        Err(error) => return Err(format!("reading {}: {error}", path.display())),
    };
    fs::write(&path, replaced(&old, section)).map_err(|error| format!("writing {}: {error}", path.display()))?;
    println!("written: docs/performance.md");
    Ok(())
}

fn replaced(old: &str, section: &str) -> String {
    let title = section.lines().next().unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = old;
    // A part begins at a heading of the second level.
    while let Some(at) = rest.get(1..).and_then(|tail| tail.find("\n## ")) {
        let (part, tail) = rest.split_at(at + 2);
        parts.push(part);
        rest = tail;
    }
    parts.push(rest);
    let mut done = false;
    let mut new: Vec<&str> = Vec::new();
    for part in parts {
        if part.lines().next() == Some(title) {
            new.push(section);
            done = true;
        } else {
            new.push(part);
        }
    }
    if !done {
        new.push(section);
    }
    new.iter().map(|part| part.trim_end()).collect::<Vec<_>>().join("\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_engine_s_own_section_is_replaced() {
        let old = "# Performance\n\n## Engine 1\nold\n\n## Notes\nkept\n";
        let new = replaced(old, "## Engine 1\nnew\n");
        assert_eq!(new, "# Performance\n\n## Engine 1\nnew\n\n## Notes\nkept\n");
        assert_eq!(replaced(&new, "## Engine 2\nx\n"), format!("{new}\n## Engine 2\nx\n"));
    }
}
