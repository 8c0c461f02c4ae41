//! Tests of the whole crate through its public interface.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adding;
mod bombs;
mod cut;
mod finding;
mod hostile;
mod life;
mod malicious;
mod paths;
mod promises;
#[expect(dead_code, reason = "the server of the downloader's own tests misbehaves in more ways than are wanted here")]
#[path = "../../../boxes/tests/it/server.rs"]
mod server;
mod support;

/// A file that is not a module of this binary would never run.
#[test]
fn every_file_is_part_of_the_binary() {
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs_err::read_to_string(folder.join("main.rs")).unwrap();
    for file in folder.read_dir_utf8().unwrap() {
        let name = file.unwrap().file_name().trim_end_matches(".rs").to_owned();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{name}");
    }
}
