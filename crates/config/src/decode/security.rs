//! What a machine may do: `cap`, `read-only`, `new-privileges`, `privileged`, `user`.

use crate::{
    eval::Eval,
    reader::{Block, Value},
    suggest,
};
use std::collections::BTreeSet;

/// Linux's capabilities (`capabilities(7)`, Linux 6.x), without their prefix.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// What a body says about security; absent means that the defaults decide.
#[derive(Default)]
pub(crate) struct Permissions {
    pub(crate) cap_add: BTreeSet<String>,
    pub(crate) cap_drop: BTreeSet<String>,
    pub(crate) read_only: Option<bool>,
    pub(crate) new_privileges: Option<bool>,
    pub(crate) privileged: Option<bool>,
    pub(crate) user: Option<String>,
}

impl Permissions {
    /// These, and where they say nothing those of `defaults`. A capability that a machine adds is not one that the defaults
    /// take away, and the other way round.
    pub(crate) fn over(mut self, defaults: Self) -> rig_model::Security {
        let kept = |theirs: BTreeSet<String>, opposite: &BTreeSet<String>| -> Vec<String> {
            theirs.into_iter().filter(|cap| !opposite.contains(cap)).collect()
        };
        let (more_add, more_drop) = (kept(defaults.cap_add, &self.cap_drop), kept(defaults.cap_drop, &self.cap_add));
        self.cap_add.extend(more_add);
        self.cap_drop.extend(more_drop);
        rig_model::Security {
            cap_add: self.cap_add.into_iter().collect(),
            cap_drop: self.cap_drop.into_iter().collect(),
            read_only: self.read_only.or(defaults.read_only).unwrap_or(false),
            new_privileges: self.new_privileges.or(defaults.new_privileges).unwrap_or(false),
            privileged: self.privileged.or(defaults.privileged).unwrap_or(false),
            user: self.user.or(defaults.user),
        }
    }
}

/// Reads a body's security nodes.
pub(crate) fn read(eval: &mut Eval<'_, '_>, block: &mut Block<'_>) -> Permissions {
    let mut permissions = Permissions::default();
    for mut node in block.all("cap") {
        let at = node.at();
        let (add, drop) = (node.prop("add"), node.prop("drop"));
        node.finish(eval.cx);
        if add.is_none() && drop.is_none() {
            eval.wrong(at, "`cap` adds or drops nothing", "write `cap drop=\"all\"` or `cap add=\"NET_ADMIN\"`");
        }
        if let Some(value) = add {
            capabilities(eval, value, "add", &mut permissions.cap_add);
        }
        if let Some(value) = drop {
            capabilities(eval, value, "drop", &mut permissions.cap_drop);
        }
        if let Some(both) = permissions.cap_add.intersection(&permissions.cap_drop).next() {
            eval.wrong(at, format!("capability {both} is both added and dropped"), "keep one of them");
        }
    }
    let read_only = block.one(eval.cx, "read-only");
    permissions.read_only = eval.flag(read_only);
    let new_privileges = block.one(eval.cx, "new-privileges");
    permissions.new_privileges = eval.flag(new_privileges);
    let privileged = block.one(eval.cx, "privileged");
    permissions.privileged = eval.flag(privileged);
    let user = block.one(eval.cx, "user");
    permissions.user = eval.only_value(user, "a user", |eval, value| {
        let user = eval.closed_text(value, "user")?;
        if user.is_empty() || user.contains(char::is_whitespace) {
            eval.wrong(
                value.at,
                format!("{user:?} is not a user"),
                "write a name or a number: `user \"185\"`, `user \"185:0\"`",
            );
            return None;
        }
        Some(user)
    });
    permissions
}

fn capabilities(eval: &mut Eval<'_, '_>, value: Value<'_>, what: &str, found: &mut BTreeSet<String>) {
    let Some(text) = eval.word(value, what) else { return };
    for word in text.split_whitespace() {
        let upper = word.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name == "ALL" || CAPABILITIES.contains(&name) {
            found.insert(name.to_owned());
        } else {
            let near = suggest::nearest(name, CAPABILITIES).map(|near| format!("did you mean `{near}`?"));
            let help =
                near.unwrap_or_else(|| "`man capabilities` lists them; several are separated by blanks".to_owned());
            eval.wrong(value.at, format!("there is no capability {word}"), help);
        }
    }
}
