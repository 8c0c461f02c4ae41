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
    assert_eq!(loaded.files[0], path);
    let recipes = loaded.files[1..].iter().filter(|file| file.as_str().ends_with("/recipe.kdl")).count();
    assert_eq!(recipes, loaded.files.len() - 1);
    let json = serde_json::to_string_pretty(&loaded.workspace).unwrap();
    // The origins name files as they were given, which differs from machine to machine.
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    insta::assert_snapshot!(json.replace(path.as_str(), "workspace.kdl").replace(&format!("{folder}/"), ""));
}
