//! What a machine's shell runs for its copies: programs for a POSIX shell with the tools of GNU or BusyBox.

/// Prints the note, if the copy that it speaks of is there. As root. Arguments: the target, the note.
pub(super) const READ: &str = r#"[ ! -d "$1" ] || cat "$2" 2>/dev/null || :"#;

/// Makes the copy's folder and an empty one for what arrives. As root. Arguments: the target, where things arrive, the user.
pub(super) const PREPARE: &str = r#"
set -e
[ ! -L "$1" ] || { echo "$1 is a link, and a copy is a folder" >&2; exit 1; }
mkdir -p "$1"
[ "$(stat -c %U "$1")" = "$3" ] || chown -h "$3:" "$1"
rm -rf "$2"
mkdir -m 700 "$2"
chown -h "$3:" "$2"
"#;

/// Removes what is gone, deepest first; a folder stays if there is something in it that was not copied. Standard input: paths relative to
/// the target, each with a NUL behind it. Argument: the target.
pub(super) const REMOVE: &str = r#"
set -e
cd "$1"
exec xargs -0 -r sh -ec 'for p; do
    if [ -d "$p" ] && [ ! -L "$p" ]; then
        rmdir "$p" 2>/dev/null || :
    elif [ -e "$p" ] || [ -L "$p" ]; then
        [ -w "${p%/*}" ] || chmod u+w "${p%/*}"
        rm -f "$p"
    fi
done' sh
"#;

/// Puts what has arrived into its place, each file in one step: whoever reads one reads the old one or the new one. The folder itself
/// stays the one that programs may be in. What is of another kind gives way. Folders get their permissions last: into some nobody may
/// write. Standard input: permissions and paths of folders, each with a NUL behind it. Arguments: the target, where things arrived.
pub(super) const PLACE: &str = r#"
set -e
cd "$2"
find . -type d -exec sh -ec 'for d; do
    if [ -L "$0/$d" ] || [ ! -d "$0/$d" ]; then
        rm -f "$0/$d"
        mkdir "$0/$d"
    fi
    [ -w "$0/$d" ] || chmod u+w "$0/$d"
done' "$1" {} +
find . ! -type d -exec sh -ec 'for f; do
    if [ -L "$0/$f" ] || [ -d "$0/$f" ]; then rm -rf "$0/$f"; fi
    mv -f "$f" "$0/$f"
done' "$1" {} +
cd "$1"
exec xargs -0 -r -n 2 chmod
"#;

/// Notes what was copied. As root. Standard input: the note. Arguments: its file, where things arrived or nothing.
pub(super) const NOTED: &str = r#"
set -e
[ -z "$2" ] || rm -rf "$2"
mkdir -p "$(dirname "$1")"
cat >"$1.new"
mv "$1.new" "$1"
"#;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use fs_err as fs;
    use rig_ssh::quote;
    use std::{
        io::Write as _,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
        path::{Path, PathBuf},
        process::{Command, Output, Stdio},
    };

    fn run(program: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new("sh")
            .args(["-c", program, "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn shell(program: &str, arguments: &[&str], input: &str) {
        let output = run(program, arguments, input);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    /// A copy and a place where things arrive.
    struct Stand {
        place: tempfile::TempDir,
    }

    impl Stand {
        fn new() -> Self {
            let stand = Self { place: tempfile::tempdir().unwrap() };
            let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
            shell(PREPARE, &[&stand.text("copy"), &stand.text("copy.rig-arriving"), user.trim()], "");
            fs::create_dir(stand.path("copy.rig-arriving/new")).unwrap();
            stand
        }

        fn path(&self, name: &str) -> PathBuf {
            self.place.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).display().to_string()
        }

        fn put(&self, name: &str, content: &str) {
            fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            fs::write(self.path(name), content).unwrap();
        }

        fn arrive(&self, name: &str, content: &str) {
            self.put(&format!("copy.rig-arriving/new/{name}"), content);
        }

        #[track_caller]
        fn places(&self, rights: &str) {
            shell(PLACE, &[&self.text("copy"), &self.text("copy.rig-arriving/new")], rights);
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path(&format!("copy/{name}"))).unwrap()
        }

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().mode() & 0o777
        }
    }

    #[test]
    fn what_has_arrived_gets_into_its_place() {
        let stand = Stand::new();
        stand.put("copy/same", "same");
        stand.put("copy/a b/old", "old");
        fs::set_permissions(stand.path("copy/a b"), PermissionsExt::from_mode(0o555)).unwrap();
        let same = fs::metadata(stand.path("copy/same")).unwrap().ino();
        let folder = fs::metadata(stand.path("copy")).unwrap().ino();
        stand.arrive("a b/old", "new");
        stand.arrive("a b/deep/-x", "x");
        stand.places("750\0./a b/deep\x00555\0./a b\0");
        assert_eq!([stand.read("a b/old"), stand.read("a b/deep/-x")], ["new", "x"]);
        assert_eq!(Stand::mode(&stand.path("copy/a b")), 0o555);
        assert_eq!(Stand::mode(&stand.path("copy/a b/deep")), 0o750);
        assert_eq!(fs::metadata(stand.path("copy/same")).unwrap().ino(), same);
        assert_eq!(fs::metadata(stand.path("copy")).unwrap().ino(), folder);
    }

    #[test]
    fn what_is_of_another_kind_gives_way() {
        let stand = Stand::new();
        stand.put("elsewhere/file", "untouched");
        for name in ["link-to-file", "link-to-link", "link-to-folder"] {
            symlink(stand.path("elsewhere"), stand.path(&format!("copy/{name}"))).unwrap();
        }
        stand.put("copy/folder/of the machine", "machine");
        stand.put("copy/file", "file");
        stand.arrive("link-to-file", "a file");
        symlink("file", stand.path("copy.rig-arriving/new/link-to-link")).unwrap();
        stand.arrive("link-to-folder/x", "x");
        stand.arrive("folder", "a file as well");
        stand.arrive("file/y", "y");
        stand.places("");
        assert_eq!([stand.read("link-to-file"), stand.read("folder")], ["a file", "a file as well"]);
        assert_eq!([stand.read("link-to-folder/x"), stand.read("file/y")], ["x", "y"]);
        assert_eq!(fs::read_link(stand.path("copy/link-to-link")).unwrap().to_str(), Some("file"));
        let left: Vec<_> =
            fs::read_dir(stand.path("elsewhere")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["file"], "nothing was put or removed where a link leads");
    }

    #[test]
    fn a_file_that_cannot_be_placed_is_a_failure() {
        let stand = Stand::new();
        for name in ["a", "b", "c"] {
            stand.arrive(name, name);
        }
        // A `mv` that refuses one of several.
        stand.put("bin/mv", "#!/bin/sh\ncase $2 in */a) exit 1 ;; esac\nexec /bin/mv \"$@\"\n");
        fs::set_permissions(stand.path("bin/mv"), PermissionsExt::from_mode(0o755)).unwrap();
        let program = format!("PATH={}:$PATH\n{PLACE}", quote(&stand.text("bin")));
        let output = run(&program, &[&stand.text("copy"), &stand.text("copy.rig-arriving/new")], "");
        assert!(!output.status.success(), "{output:?}");
    }

    #[test]
    fn what_is_gone_goes_and_what_the_machine_made_stays() {
        let stand = Stand::new();
        for name in ["-x", "folder/known", "folder/own", "empty/known", "kept"] {
            stand.put(&format!("copy/{name}"), "");
        }
        shell(
            REMOVE,
            &[&stand.text("copy")],
            "./not there/x\0./folder/known\0./folder\0./empty/known\0./empty\0./-x\0",
        );
        let there = |name: &str| stand.path(&format!("copy/{name}")).exists();
        assert!(there("folder/own") && there("kept"));
        assert!(!there("folder/known") && !there("empty") && !there("-x"));
    }

    #[test]
    fn a_link_is_no_folder_for_a_copy() {
        let stand = Stand::new();
        symlink(stand.path("copy"), stand.path("link")).unwrap();
        let output = run(PREPARE, &[&stand.text("link"), &stand.text("arriving"), "root"], "");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is a link"), "{output:?}");
    }

    #[test]
    fn a_note_is_whole() {
        let stand = Stand::new();
        let note = stand.text("notes/x.json");
        shell(NOTED, &[&note, &stand.text("copy.rig-arriving")], "{}");
        assert_eq!(fs::read_to_string(&note).unwrap(), "{}");
        assert!(!stand.path("copy.rig-arriving").exists());
        assert_eq!(run(READ, &[&stand.text("copy"), &note], "").stdout, b"{}");
        assert_eq!(run(READ, &[&stand.text("no copy"), &note], "").stdout, b"");
    }
}
