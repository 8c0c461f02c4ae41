//! The workspace file of this repository.

use camino::Utf8Path;
use rig_config::{Overrides, load};

fn root() -> &'static Utf8Path {
    Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_repositorys_own_file_is_read() {
    let path = root().join("workspace.kdl");
    let loaded = match load(&path, &Overrides::default()) {
        Ok(loaded) => loaded,
        Err(mistakes) => panic!("{}", super::support::render(&mistakes)),
    };
    assert_eq!(loaded.folder, root());
    assert_eq!(loaded.files.len(), 1);
    assert_eq!(loaded.files[0], path);
    let json = serde_json::to_string_pretty(&loaded.workspace).unwrap();
    // The origins name the file as it was given, which differs from machine to machine.
    insta::assert_snapshot!(json.replace(path.as_str(), "workspace.kdl"));
}
