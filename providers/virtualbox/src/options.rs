//! What a machine's `provider` block may say to VirtualBox: the front end that it is started with, and commands of VBoxManage that are
//! the user's own.

use rig_model::{MachineSpec, ProviderOption};
use rig_provider_api::{FieldIssue, unknown_options};
use serde::{Deserialize, Serialize};

/// The names.
const FRONT_END: &str = "front-end";
const CUSTOMIZE: &str = "customize";

/// The front ends of VBoxManage's `startvm` (<https://www.virtualbox.org/manual/topics/vboxmanage.html>).
const FRONT_ENDS: [&str; 4] = ["headless", "gui", "sdl", "separate"];

/// The word in whose place the machine's identity is put, as in Vagrant's files.
const IDENTITY: &str = ":id";

/// When a command is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Moment {
    /// Before each start.
    #[default]
    #[serde(rename = "pre-boot")]
    PreBoot,
    /// After each start, before the machine is entered.
    #[serde(rename = "post-boot")]
    PostBoot,
}

/// The property that names a moment, and the moments.
const WHEN: &str = "when";
const MOMENTS: [(&str, Moment); 2] = [("pre-boot", Moment::PreBoot), ("post-boot", Moment::PostBoot)];

/// What a machine's block says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// The front end; headless where there is none.
    pub(crate) front_end: Option<String>,
    /// Commands of VBoxManage, in the file's order.
    pub(crate) customize: Vec<(Moment, Vec<String>)>,
}

impl Options {
    /// What a block says that has no [`issues`].
    pub(crate) fn read(options: &[ProviderOption]) -> Self {
        let mut read = Self::default();
        for option in options {
            match option.name.as_str() {
                FRONT_END => read.front_end = option.words.first().cloned(),
                CUSTOMIZE => read.customize.push((moment(option).unwrap_or_default(), option.words.clone())),
                _ => {}
            }
        }
        read
    }

    /// The front end that a machine is started with.
    pub(crate) fn front_end(&self) -> &str {
        self.front_end.as_deref().unwrap_or(FRONT_ENDS[0])
    }

    /// The commands of a moment for the machine of an identity.
    pub(crate) fn commands(&self, moment: Moment, identity: &str) -> Vec<Vec<String>> {
        let word = |word: &String| if word == IDENTITY { identity.to_owned() } else { word.clone() };
        let of_moment = self.customize.iter().filter(|(when, _)| *when == moment);
        of_moment.map(|(_, words)| words.iter().map(word).collect()).collect()
    }
}

fn moment(option: &ProviderOption) -> Option<Moment> {
    let Some(when) = option.properties.get(WHEN) else { return Some(Moment::default()) };
    MOMENTS.iter().find(|(name, _)| name == when).map(|(_, moment)| *moment)
}

/// What is wrong with a machine's block.
pub(crate) fn issues(machine: &MachineSpec) -> Vec<FieldIssue> {
    let mut issues = unknown_options(machine, &[FRONT_END, CUSTOMIZE]);
    for option in &machine.options {
        let mut wrong = |message: String, hint: String| {
            issues.push(FieldIssue { field: format!("provider.{}", option.name), message, hint: Some(hint) });
        };
        let odd = option.properties.keys().find(|name| option.name != CUSTOMIZE || *name != WHEN);
        if let Some(name) = odd {
            wrong(format!("{} has no property {name}", option.name), "remove it".to_owned());
        }
        match option.name.as_str() {
            FRONT_END if !matches!(option.words.as_slice(), [word] if FRONT_ENDS.contains(&word.as_str())) => {
                wrong(
                    format!("{:?} is no front end", option.words.join(" ")),
                    format!("there are {}", FRONT_ENDS.join(", ")),
                );
            }
            CUSTOMIZE => {
                if !option.words.iter().any(|word| word == IDENTITY) {
                    let hint = "`customize \"modifyvm\" \":id\" \"--vram\" \"32\"`; VirtualBox's own settings are not a machine's to change";
                    wrong(
                        format!("it does not say \"{IDENTITY}\", where the machine's identity goes"),
                        hint.to_owned(),
                    );
                }
                if moment(option).is_none() {
                    let names: Vec<&str> = MOMENTS.iter().map(|(name, _)| *name).collect();
                    wrong(
                        format!("{:?} is no moment", option.properties[WHEN]),
                        format!("there are {}", names.join(", ")),
                    );
                }
            }
            _ => {}
        }
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn option(name: &str, words: &[&str], when: Option<&str>) -> ProviderOption {
        let properties = when.map(|when| (WHEN.to_owned(), when.to_owned()));
        ProviderOption {
            name: name.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            properties: BTreeMap::from_iter(properties),
        }
    }

    #[test]
    fn commands_are_of_their_moment_and_name_the_machine() {
        let options = Options::read(&[
            option(FRONT_END, &["gui"], None),
            option(CUSTOMIZE, &["modifyvm", ":id", "--vram", "32"], None),
            option(CUSTOMIZE, &["controlvm", ":id", "keyboardputstring", ":id-x"], Some("post-boot")),
        ]);
        assert_eq!(options.front_end(), "gui");
        assert_eq!(options.commands(Moment::PreBoot, "a-b"), [["modifyvm", "a-b", "--vram", "32"]]);
        assert_eq!(options.commands(Moment::PostBoot, "a-b"), [["controlvm", "a-b", "keyboardputstring", ":id-x"]]);
        assert_eq!(Options::default().front_end(), "headless");
    }
}
