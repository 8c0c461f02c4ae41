//! "Did you mean": the nearest known word.

use std::collections::BTreeSet;

/// The candidate that `word` was most likely meant to be, if any is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word with hundreds of characters is no slip of the pen, and comparing costs the product of the lengths.
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        // A third of the word may be wrong, but at least one letter and at most three.
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).clamp(1, 3))
        // Of two that are equally near the one that begins alike: the first letter is seldom wrong.
        .min_by_key(|(distance, candidate)| (*distance, candidate.chars().next() != lower.chars().next()))
        .map(|(_, candidate)| candidate)
}

/// A help text: the nearest candidate, else all of them when they are few, else `fallback`.
pub(crate) fn help<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, fallback: &str) -> String {
    // Several topologies may know the same name.
    let candidates: Vec<&str> = candidates.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() || candidates.len() > 12 => fallback.to_owned(),
        None => format!("known here: {}", list(&candidates)),
    }
}

/// What a word of Vagrant's or compose's is called here.
pub(crate) fn elsewhere(word: &str) -> Option<&'static str> {
    Some(match word {
        "provision" | "provisioner" | "provisioners" => {
            "steps are `shell`, `file`, `template`, `packages`, `service` and `recipe`, in a mutable machine"
        }
        "forwarded_port" | "forwarded-port" | "ports" | "expose" | "publish" => "`port 80 host=8080` publishes a port",
        "synced_folder" | "synced-folder" | "share" | "mount" => {
            "`sync \"./folder\" \"/place\"` shows a folder of the host"
        }
        "volumes" => {
            "`volume \"name\" \"/place\"` keeps data, `sync \"./folder\" \"/place\"` shows a folder of the host"
        }
        "depends_on" | "depends-on" => "`after \"machine\" is=\"ready\"` waits for another machine",
        "environment" => "`env { NAME \"value\" }` sets variables",
        "memory" | "mem_limit" | "cpus" => "`limits memory=\"1GiB\" cpus=1`, or a `flavor`",
        "private_network" | "private-network" => "`network \"name\"` in the topology, `ip` in the machine",
        "healthcheck" => "`ready` says when a machine is ready: `ready tcp=80`",
        "entrypoint" | "cmd" => "`command` gives the arguments of the box's entry point",
        "services" | "vm" => "machines stand in a `topology`: `machine \"name\" { … }`",
        _ => return None,
    })
}

/// Words in backticks, separated by commas.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
