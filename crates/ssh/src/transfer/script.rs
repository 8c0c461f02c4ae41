//! What the machine runs.

use crate::{ExecCommand, Result, Session, SshError, quote};

/// The entry of an upload's archive that is to become the target.
pub(super) const CONTENT: &str = "content";

/// The last entry of an upload's archive. `tar` takes an archive that was cut between two entries for a whole one.
pub(super) const COMPLETE: &str = "complete";

/// The exit code with which [`SEND`] says that there is nothing to send.
pub(super) const MISSING: i32 = 66;

/// Unpacks standard input beside the target, then renames it onto the target. Arguments: the target's parent and name,
/// `file` or `folder`, the owner or nothing.
///
/// The folder that it unpacks into is named for its process: one whose process is gone is what a transfer left behind
/// that was killed, and with luck the old folder is still in it.
pub(super) const RECEIVE: &str = r#"
set -eu
target=$1/$2 kind=$3 owner=$4
prefix=$1/.$2.rig-upload-
there() { [ -e "$1" ] || [ -L "$1" ]; }
fail() { echo "$1" >&2; exit 73; }
clean() { if there "$1/old" && ! there "$target"; then mv "$1/old" "$target"; fi; rm -rf "$1"; }
(umask 022; mkdir -p "$1")
for left in "$prefix"*; do
    pid=${left##*-}
    if [ -d "$left" ] && { [ "$pid" = $$ ] || ! kill -0 "$pid"; } 2>/dev/null; then clean "$left" || :; fi
done
stage=$prefix$$
mkdir -m 700 "$stage"
trap 'code=$?; trap "" HUP INT TERM PIPE; trap - EXIT; clean "$stage"; exit $code' EXIT
trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 141' PIPE; trap 'exit 143' TERM
# BusyBox applies the mask even so. Nobody else gets into the stage.
(umask 0; tar -xpof - -C "$stage")
cat >/dev/null
[ -e "$stage/complete" ] || fail "the transfer broke off"
[ -z "$owner" ] || chown -hR "$owner" "$stage/content"
if [ "$kind" = file ]; then
    [ ! -d "$target" ] || fail "$target is a folder"
    mv -f "$stage/content" "$target"
else
    if there "$target"; then
        [ -d "$target" ] || fail "$target is not a folder"
        mv "$target" "$stage/old"
    fi
    mv "$stage/content" "$target"
fi
"#;

/// Writes a file, or what is in a folder, to standard output. Arguments: parent and name.
pub(super) const SEND: &str = r#"
set -eu
if [ -d "$1/$2" ]; then
    cd "$1/$2"
    exec tar -cf - .
fi
[ -e "$1/$2" ] || exit 66
exec tar -chf - -C "$1" "./$2"
"#;

/// A path on a machine, split so that neither half can be taken for an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RemotePath {
    pub(super) parent: String,
    pub(super) name: String,
}

impl RemotePath {
    /// Splits a path. One that is not absolute is below the user's home folder.
    pub(super) fn parse(path: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Err(SshError::Transfer { doing: format!("using {path:?} as a path on the machine"), why: why.to_owned() })
        };
        let trimmed = path.trim_end_matches('/');
        let (parent, name) = match trimmed.rsplit_once('/') {
            Some((parent, name)) if path.starts_with('/') => (format!("{parent}/."), name),
            Some((parent, name)) => (format!("./{parent}"), name),
            None => (".".to_owned(), trimmed),
        };
        match name {
            "" => wrong("it names nothing"),
            "." | ".." => wrong("it must end with a name"),
            _ if path.contains('\0') => wrong("it holds a NUL character"),
            _ => Ok(Self { parent, name: name.to_owned() }),
        }
    }
}

/// A command that runs a script with arguments, as root where that is asked for.
pub(super) fn command(session: &Session, script: &str, arguments: &[&str], sudo: bool) -> ExecCommand {
    // Root needs no sudo, and small images have none.
    let sudo: &[&str] = if sudo && session.user() != "root" { &["sudo", "-n"] } else { &[] };
    let shell = ["sh", "-c", script, "rig"];
    let words = sudo.iter().chain(&shell).chain(arguments);
    ExecCommand::new(words.map(|word| quote(word)).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split() {
        for (path, parent, name) in [
            ("/opt/spark", "/opt/.", "spark"),
            ("/spark", "/.", "spark"),
            ("/opt/a b/", "/opt/.", "a b"),
            ("conf/x", "./conf", "x"),
            ("-rf", ".", "-rf"),
        ] {
            let expected = RemotePath { parent: parent.to_owned(), name: name.to_owned() };
            assert_eq!(RemotePath::parse(path).unwrap(), expected, "{path}");
        }
        for path in ["", "/", "..", "a/..", "/tmp/.", "a\0b"] {
            assert!(RemotePath::parse(path).is_err(), "{path:?}");
        }
    }
}
