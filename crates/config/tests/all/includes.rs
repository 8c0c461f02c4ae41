//! `include`, and files on the disk.

use super::support::{Memory, line, render};
use camino::Utf8Path;
use rig_config::{Loaded, Mistakes, Overrides, load, parse};

fn with(files: &[(&str, &str)], main: &str) -> Result<Loaded, Mistakes> {
    parse("lab/workspace.kdl", main, &Overrides::default(), &Memory::with(files))
}

fn lines(result: Result<Loaded, Mistakes>) -> Vec<String> {
    let mistakes = result.unwrap_err();
    mistakes.iter().map(|mistake| format!("{} {}", mistake.file.unwrap_or("-"), line(mistake))).collect()
}

#[test]
fn included_files_take_the_place_of_the_node() {
    let loaded = with(
        &[
            ("parts/boxes.kdl", "include \"more/base.kdl\"\nbox \"b\" { image \"{image}\" }"),
            ("parts/more/base.kdl", "variable \"image\" \"debian\""),
        ],
        "workspace \"t\"\ninclude \"parts/boxes.kdl\"\ninclude \"./parts/../parts/more/base.kdl\"\ntopology \"x\" idiom=\"immutable\" { machine \"m\" { box \"b\" } }",
    )
    .unwrap();
    assert_eq!(loaded.files, ["lab/workspace.kdl", "lab/parts/boxes.kdl", "lab/parts/more/base.kdl"]);
    assert_eq!(loaded.workspace.boxes["b"].origin.to_string(), "lab/parts/boxes.kdl:2");
}

#[test]
fn mistakes_point_into_the_included_file() {
    let result = with(
        &[("a.kdl", "flavor \"f\" cpu=1\nflavor \"g\"\nworkspace \"x\"")],
        "workspace \"t\"\nflavor \"g\"\ninclude \"a.kdl\"",
    );
    insta::assert_snapshot!(render(result.as_ref().unwrap_err()));
    assert_eq!(
        lines(result),
        [
            "lab/a.kdl 1:12: `flavor` has no property `cpu` | did you mean `cpus`?",
            "lab/a.kdl 2:8: flavor `g` is declared twice | rename or remove one of them (first declared here: lab/workspace.kdl:2)",
            "lab/a.kdl 3:1: an included file cannot hold `workspace` | keep `workspace` in the file that includes this one",
        ]
    );
}

#[test]
fn circles_and_missing_files_are_mistakes() {
    let found = lines(with(
        &[("a.kdl", "include \"b.kdl\""), ("b.kdl", "include \"a.kdl\"")],
        "workspace \"t\"\ninclude \"a.kdl\"",
    ));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("files include each other in a circle: lab/a.kdl → lab/b.kdl → a.kdl"), "{found:?}");
    let found = lines(with(&[], "workspace \"t\"\ninclude \"a.kdl\"\ninclude 5\ninclude"));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("cannot read the included file: no file a.kdl"), "{found:?}");
    let mut files = Memory::default();
    files.add("a.kdl", b"flavor \"\xff\"");
    let result = parse("w.kdl", "workspace \"t\"\ninclude \"a.kdl\"", &Overrides::default(), &files);
    assert!(lines(result)[0].contains("a.kdl is not UTF-8: byte 8 is 0xff"));
}

#[test]
fn links_cannot_make_an_endless_chain() {
    let files: Vec<(String, String)> =
        (0..100).map(|n| (format!("{n}.kdl"), format!("include \"{}.kdl\"", n + 1))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert!(lines(with(&files, "workspace \"t\"\ninclude \"0.kdl\""))[0].contains("more than 16 deep"));
}

#[test]
fn files_on_the_disk_that_cannot_be_read_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(folder.path()).unwrap().join("workspace.kdl");
    let problem = |bytes: &[u8]| {
        fs_err::write(&path, bytes).unwrap();
        let mistakes = load(&path, &Overrides::default()).unwrap_err();
        line(mistakes.iter().next().unwrap())
    };
    assert!(
        problem(b"workspace \"t\"\n// \xff\xfe").starts_with(&format!("2:4: {path} is not UTF-8: byte 17 is 0xff"))
    );
    assert!(problem(&vec![b'/'; 10 << 20]).contains("is larger than 1024 KiB"));
    assert!(problem(&[0; 1000]).starts_with("1:1: the character U+0000 cannot stand in a KDL file"));
    assert!(problem(b"\xef\xbb\xbfworkspace 1").starts_with("1:12: `workspace` takes a text"));
    fs_err::remove_file(&path).unwrap();
    let missing = load(&path, &Overrides::default()).unwrap_err();
    assert!(missing.iter().next().unwrap().help.unwrap().contains("rig init"));
    let folder = load(Utf8Path::from_path(folder.path()).unwrap(), &Overrides::default()).unwrap_err();
    assert!(line(folder.iter().next().unwrap()).contains("is not a regular file"));
}
