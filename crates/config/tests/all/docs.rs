//! Every KDL block in the documentation is read.
//!
//! A block that begins with ```` ```kdl ```` is a whole file. With `fragment=top`, `fragment=topology` or
//! `fragment=machine` behind it, it is a piece that stands in such a place; `fragment=comparison` one at the top beside two topologies; `fragment=mutable` is a machine's that is provisioned,
//! `fragment=recipe` a recipe's file.

use super::support::render;
use camino::{Utf8Path, Utf8PathBuf};
use rig_config::{Overrides, SourceKind, Sources, parse};

/// Every file and folder that documentation may name exists. The recipe `tool` is the block that is tried.
struct Everything {
    tool: String,
}

impl Sources for Everything {
    fn read(&self, path: &Utf8Path, _limit: u64) -> std::io::Result<Vec<u8>> {
        if path.file_name() != Some("recipe.kdl") {
            return Ok(Vec::new());
        }
        let name = path.parent().and_then(Utf8Path::file_name).unwrap_or_default();
        let any =
            format!("recipe \"{name}\" {{ parameter \"version\" default=17; parameter \"heap\" default=\"1g\" }}");
        Ok(if name == "tool" { self.tool.clone() } else { any }.into_bytes())
    }

    fn kind(&self, path: &Utf8Path) -> Option<SourceKind> {
        let is_file = path.file_name() == Some("Dockerfile") || path.extension().is_some();
        Some(if is_file { SourceKind::File } else { SourceKind::Folder })
    }
}

const COMMON: &str = r#"
workspace "example"
variable "workers" 2
variable "slices" 100
variable "worker-memory" 576
flavor "small" cpus=1 memory="1GiB"
flavor "large" cpus=4 memory="8GiB"
box "debian" { bootstrap "bookworm" }
box "spark" { build "boxes/spark" from="debian" }
box "cassandra" { build "boxes/cassandra" from="debian" }
"#;

/// Puts a piece where it belongs.
fn wrap(kind: &str, text: &str) -> Option<String> {
    Some(match kind {
        "" => text.to_owned(),
        "fragment=top" => format!("workspace \"example\"\n{text}"),
        "fragment=comparison" => {
            let machines = "defaults { box \"debian\" }\nmachine \"master\"\nmachine \"worker\" role=\"worker\" count=\"{workers}\"";
            let mutable = format!("topology \"naughty\" idiom=\"mutable\" {{\n{machines}\n}}");
            let immutable = format!("topology \"immutable\" idiom=\"immutable\" {{\n{machines}\n}}");
            let checks = ["ring", "pi"].map(|name| format!("check \"{name}\" on=\"master\" {{ run \"true\" }}"));
            format!("{COMMON}\n{mutable}\n{immutable}\n{}\n{text}", checks.join("\n"))
        }
        "fragment=topology" => format!("{COMMON}\ntopology \"example\" idiom=\"immutable\" {{\n{text}\n}}"),
        "fragment=machine" => format!(
            "{COMMON}\ntopology \"example\" idiom=\"immutable\" {{\nnetwork \"net\" subnet=\"10.8.0.0/24\"\ndefaults {{ box \"spark\"; limits cpus=1 memory=\"1GiB\" }}\nmachine \"spark-master\"\nmachine \"spark-worker\" count=2\nmachine \"node\" count=1 role=\"node\" {{\n{text}\n}}\n}}"
        ),
        "fragment=mutable" => format!(
            "{COMMON}\ntopology \"example\" idiom=\"mutable\" {{\ndefaults {{ box \"debian\" }}\nmachine \"database\"\nmachine \"node\" count=1 {{\n{text}\n}}\n}}"
        ),
        "fragment=recipe" => format!(
            "{COMMON}\ntopology \"example\" idiom=\"mutable\" {{\ndefaults {{ box \"debian\"; recipe \"jdk\" }}\nmachine \"server\"\nmachine \"node\" {{ recipe \"tool\" peer=\"server\" }}\n}}"
        ),
        _ => return None,
    })
}

/// The blocks of a document: line, kind, text.
fn blocks(document: &str) -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in document.lines().enumerate() {
        if let Some(block) = &mut open {
            if line.trim() == "```" {
                blocks.extend(open.take());
            } else {
                block.2.push_str(line);
                block.2.push('\n');
            }
        } else if let Some(kind) = line.trim().strip_prefix("```kdl") {
            open = Some((number + 1, kind.trim().to_owned(), String::new()));
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

fn documents(folder: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    let Ok(entries) = folder.read_dir_utf8() else { return };
    for entry in entries {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension() == Some("md") {
            found.push(path);
        }
    }
}

#[test]
fn every_block_in_the_documentation_is_right() {
    let root = Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut paths = vec![root.join("README.md")];
    documents(&root.join("docs"), &mut paths);
    paths.sort();
    let mut count = 0;
    let mut wrong = String::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        for (line, kind, text) in blocks(&fs_err::read_to_string(path).unwrap()) {
            let place = format!("{}:{line}", path.strip_prefix(root).unwrap());
            let Some(whole) = wrap(&kind, &text) else {
                wrong.push_str(&format!("{place}: `{kind}` is not a kind of block\n"));
                continue;
            };
            count += 1;
            let sources = Everything { tool: text };
            if let Err(mistakes) = parse(&place, &whole, &Overrides::default(), &sources) {
                wrong.push_str(&render(&mistakes));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 25, "only {count} blocks were found");
}

/// Nodes that a reader of the reference can look up.
#[test]
fn every_node_is_in_the_reference() {
    let reference =
        fs_err::read_to_string(Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/file.md"))).unwrap();
    let examples: String = blocks(&reference).into_iter().map(|(_, _, text)| text).collect();
    for node in [
        "workspace",
        "engine",
        "host-trust",
        "variable",
        "include",
        "flavor",
        "artifact",
        "source",
        "sha256",
        "box",
        "build",
        "arg",
        "bootstrap",
        "package",
        "kernel",
        "tiny",
        "image",
        "topology",
        "network",
        "defaults",
        "machine",
        "provider",
        "limits",
        "hostname",
        "ip",
        "command",
        "env",
        "port",
        "volume",
        "sync",
        "tmpfs",
        "cap",
        "read-only",
        "new-privileges",
        "privileged",
        "user",
        "restart",
        "stop-timeout",
        "after",
        "ready",
        "ready-timeout",
        "serial",
        "leave",
        "drift",
        "ignore",
        "ssh",
        "shell",
        "args",
        "file",
        "template",
        "set",
        "packages",
        "service",
        "recipe",
        "then",
        "value",
        "exec",
        "check",
        "run",
        "expect",
        "timeout",
    ] {
        let used = examples.lines().any(|line| {
            line.trim()
                .strip_prefix(node)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
        });
        assert!(used, "docs/file.md has no example of `{node}`");
    }
}
