//! `drift`: what paths in a machine are for that may differ from what the file describes.

use crate::{eval::Eval, reader::Reader};
use rig_model::{DriftClass, DriftRule};

/// Reads the rules in a block: `ignore` and the names of classes, each with patterns.
pub(super) fn rules(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> Vec<DriftRule> {
    let mut rules = Vec::new();
    // Their order counts, across the names.
    for mut entry in node.block.every() {
        let (name, at) = (entry.name(), entry.name_at());
        let class = DriftClass::ALL.iter().find(|(word, _)| *word == name).map(|(_, class)| *class);
        let patterns = entry.some_args(eval.cx, "at least one pattern");
        entry.finish(eval.cx);
        if class.is_none() && name != "ignore" {
            let words: Vec<&str> = DriftClass::ALL.iter().map(|(word, _)| *word).collect();
            let help = format!("there are: ignore, {}", words.join(", "));
            eval.wrong(at, format!("`drift` knows no class `{name}`"), &help);
            continue;
        }
        for value in patterns {
            let Some(pattern) = eval.closed_text(value, name) else { continue };
            if !pattern.starts_with('/') && !pattern.starts_with("**/") {
                let help = "paths are absolute: `/opt/app/cache/**`, or `**/*.tmp` for all folders";
                eval.wrong(value.at, format!("{pattern:?} fits no path of a machine"), help);
            } else if pattern.split('/').skip(1).any(|part| matches!(part, "" | "." | "..") || part.contains("***")) {
                let help = "name the path as the machine has it; all that is in a folder is `/folder/**`";
                eval.wrong(value.at, format!("{pattern:?} fits no path of a machine"), help);
            } else if let Err(error) = globset::GlobBuilder::new(&pattern).backslash_escape(true).build() {
                let help = "`*` stands for any part of a name, `**` for any folders, `[ab]` for one of these letters";
                eval.wrong(value.at, format!("{pattern:?} is no pattern: {}", error.kind()), help);
            } else {
                rules.push(DriftRule { pattern, class, origin: eval.cx.origin(value.at) });
            }
        }
    }
    node.finish(eval.cx);
    rules
}
