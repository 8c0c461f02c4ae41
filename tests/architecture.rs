//! Guards of the architecture: which crate may depend on which, and which files exist only in the binary.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// What each crate may use of the others. Dependencies point one way; only the binary names a concrete provider.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("rig-model", &[][..]),
        ("rig-config", &["rig-model"][..]),
        ("rig-drift", &["rig-model"][..]),
        ("rig-state", &["rig-drift", "rig-model"][..]),
        ("rig-provider-api", &["rig-model"][..]),
        ("rig-ssh", &[][..]),
        ("rig-recipes", &["rig-model"][..]),
        ("rig-compare", &["rig-drift", "rig-model"][..]),
        ("rig-boxes", &["rig-model", "rig-provider-api", "rig-state"][..]),
        ("rig-box-store", &["rig-boxes", "rig-model", "rig-provider-api", "rig-state"][..]),
        (
            "rig-engine",
            &[
                "rig-model",
                "rig-provider-api",
                "rig-boxes",
                "rig-compare",
                "rig-drift",
                "rig-recipes",
                "rig-ssh",
                "rig-state",
            ][..],
        ),
        ("rig-engine-vm", &["rig-engine", "rig-model", "rig-provider-api", "rig-ssh"][..]),
        ("rig-provider-docker", &["rig-model", "rig-provider-api"][..]),
        ("rig-provider-fake", &["rig-model", "rig-provider-api"][..]),
        ("rig-hypervisor", &["rig-model", "rig-provider-api"][..]),
        ("rig-provider-qemu", &["rig-hypervisor", "rig-model", "rig-provider-api"][..]),
        ("rig-provider-virtualbox", &["rig-hypervisor", "rig-model", "rig-provider-api"][..]),
        (
            "rig",
            &[
                "rig-model",
                "rig-config",
                "rig-state",
                "rig-boxes",
                "rig-box-store",
                "rig-compare",
                "rig-drift",
                "rig-engine",
                "rig-engine-vm",
                "rig-provider-api",
                "rig-provider-docker",
                "rig-provider-qemu",
                "rig-provider-virtualbox",
                "rig-ssh",
            ][..],
        ),
        ("xtask", &[][..]),
    ])
}

#[test]
fn dependencies_point_one_way() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let members: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let allowed = allowed();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} has no row in the table of allowed dependencies"));
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
            let used = dependency.name.as_str();
            assert!(!members.contains(used) || may.contains(&used), "{name} must not depend on {used}");
        }
    }
    for name in allowed.keys() {
        assert!(members.contains(*name), "the table speaks of {name}, which is gone");
    }
}

#[test]
fn the_model_does_no_input_or_output() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let model = metadata.packages.iter().find(|package| package.name.as_str() == "rig-model").unwrap();
    for banned in ["tokio", "kdl", "bollard", "reqwest", "fs-err"] {
        assert!(
            !model.dependencies.iter().any(|dependency| dependency.name == banned),
            "rig-model must not use {banned}"
        );
    }
}

#[test]
fn every_member_shares_lints_edition_and_licence() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    for package in &metadata.packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} does not use the common lints", package.name);
        assert_eq!(package.license.as_deref(), Some("Apache-2.0 OR MIT"), "{}", package.name);
        assert_eq!(package.edition.to_string(), "2024", "{}", package.name);
        assert!(package.description.is_some(), "{} has no description", package.name);
    }
}

#[test]
fn libraries_neither_print_nor_read_the_environment() {
    // Clippy forbids it by path; this guards clippy's own configuration.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["crates", "providers"] {
        let text = std::fs::read_to_string(root.join(folder).join("clippy.toml")).unwrap();
        for banned in ["std::println", "std::eprintln", "std::env::var", "std::process::exit", "std::fs::read"] {
            assert!(text.contains(&format!("\"{banned}\"")), "{folder}/clippy.toml does not ban {banned}");
        }
    }
}

#[test]
fn both_idioms_give_cassandra_the_same_settings() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let common = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        text.split_once("# The same on every node.").unwrap().1.to_owned()
    };
    let [recipe, image] =
        ["recipes/cassandra/templates/cassandra.yaml.j2", "boxes/cassandra/conf/cassandra-common.yaml"].map(common);
    assert_eq!(recipe, image);
}
