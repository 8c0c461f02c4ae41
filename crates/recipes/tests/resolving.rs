//! From a step of the file to what a machine is given.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests end a test as tests do")]

use camino::Utf8Path;
use rig_model::{Content, MachineSpec, ResolvedStep, Work, Workspace};
use rig_recipes::{Contents, Facts, RecipeError, resolve};

fn workspace(folder: &Utf8Path, body: &str) -> Workspace {
    let text = format!(
        "workspace \"test\"\nbox \"base\" {{ image \"debian\" }}\ntopology \"lab\" idiom=\"mutable\" {{\ndefaults {{ box \"base\" }}\nmachine \"node\" count=2 role=\"{{if-first head tail}}\" {{\n{body}\n}}\n}}\n"
    );
    let path = folder.join("workspace.kdl");
    fs_err::write(&path, text).unwrap();
    match rig_config::load(&path, &rig_config::Overrides::default()) {
        Ok(loaded) => loaded.workspace,
        Err(mistakes) => panic!("{mistakes:?}"),
    }
}

fn first(workspace: &Workspace) -> &MachineSpec {
    workspace.machines().next().unwrap()
}

fn resolved(folder: &Utf8Path, body: &str) -> Result<Vec<ResolvedStep>, Vec<RecipeError>> {
    let workspace = workspace(folder, body);
    let contents = Contents::load(workspace.machines(), folder)?;
    let machine = first(&workspace);
    let ip = |_: &rig_model::MachineId| Some([10, 0, 0, 7].into());
    let facts = Facts::new("test", workspace.topologies.values().next().unwrap(), machine, &ip);
    machine
        .steps
        .iter()
        .map(|step| resolve(step, &machine.id, &facts, &contents, &ip).map_err(|error| vec![error]))
        .collect()
}

fn folder() -> (tempfile::TempDir, camino::Utf8PathBuf) {
    let guard = tempfile::tempdir().unwrap();
    let path = camino::Utf8PathBuf::from_path_buf(guard.path().to_owned()).unwrap();
    (guard, path)
}

#[test]
fn templates_know_the_machine_its_peers_and_what_they_are_given() {
    let (_guard, folder) = folder();
    let text = "{{ greeting }} {{ machine.host }}/{{ machine.index }} {{ machine.ip }} {{ topology }} {{ workspace }}\n{% for peer in peers if peer.role == \"tail\" %}\n{{ peer.name }}\n{% endfor %}\n";
    fs_err::write(folder.join("t.j2"), text).unwrap();
    let steps = resolved(&folder, r#"template "t.j2" "/etc/t" { set "greeting" "hello {n}" }"#).unwrap();
    let Work::Put { content: Content::Bytes(bytes), target, .. } = &steps[0].work else { panic!() };
    assert_eq!(target, "/etc/t");
    assert_eq!(String::from_utf8_lossy(bytes), "hello 1 node1/1 10.0.0.7 lab test\nnode2\n");
}

#[test]
fn a_name_that_means_nothing_is_an_error_with_its_place() {
    let (_guard, folder) = folder();
    fs_err::write(folder.join("t.j2"), "fine\n{{ machine.nmae }}\n").unwrap();
    let errors = resolved(&folder, r#"template "t.j2" "/etc/t""#).unwrap_err();
    assert!(errors[0].to_string().starts_with("t.j2:2: "), "{}", errors[0]);
    fs_err::write(folder.join("t.j2"), "{{ nothing }}\n").unwrap();
    let errors = resolved(&folder, r#"template "t.j2" "/etc/t""#).unwrap_err();
    assert!(errors[0].hint().unwrap().contains("machine"), "{:?}", errors[0].hint());
}

#[test]
fn every_broken_template_is_told_before_anything_is_done() {
    let (_guard, folder) = folder();
    fs_err::write(folder.join("a.j2"), "one\n{% if %}\n").unwrap();
    fs_err::write(folder.join("b.j2"), b"one\ntwo\n\xff\n").unwrap();
    let body = "template \"a.j2\" \"/a\"\ntemplate \"b.j2\" \"/b\"";
    let errors: Vec<String> = resolved(&folder, body).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(errors.len() == 2 && errors[0].starts_with("a.j2:2: ") && errors[1].starts_with("b.j2:3: "), "{errors:?}");
}

#[test]
fn what_a_step_is_decides_its_hash() {
    let (_guard, folder) = folder();
    fs_err::create_dir(folder.join("files")).unwrap();
    fs_err::write(folder.join("files/one"), "1").unwrap();
    fs_err::write(folder.join("s.sh"), "#!/usr/bin/env python3\n").unwrap();
    let hash = |body: &str| resolved(&folder, body).unwrap()[0].digest();
    let base = hash("shell \"x\" inline=\"echo\" { args \"a\" \"b\" }");
    assert_eq!(base, hash("shell \"x\" inline=\"echo\" { args \"a\" \"b\"; timeout \"1m\" }"));
    for other in [
        "shell \"x\" inline=\"echo \" { args \"a\" \"b\" }",
        "shell \"x\" inline=\"echo\" { args \"a b\" }",
        "shell \"x\" inline=\"echo\" privileged=#false { args \"a\" \"b\" }",
        "shell \"x\" inline=\"echo\" { args \"a\" \"b\"; env { K \"v\" } }",
    ] {
        assert_ne!(base, hash(other), "{other}");
    }
    let body = "file \"files\" \"/opt/files\"";
    let before = hash(body);
    assert_eq!(before, hash(body));
    fs_err::write(folder.join("files/two"), "").unwrap();
    assert_ne!(before, hash(body));
    let steps = resolved(&folder, "shell \"x\" path=\"s.sh\"").unwrap();
    let Work::Shell { interpreter, .. } = &steps[0].work else { panic!() };
    assert_eq!(interpreter, &["/usr/bin/env", "python3"]);
}

#[test]
fn values_that_may_be_secret_are_hashes_wherever_a_step_is_written() {
    let (_guard, folder) = folder();
    let body = "shell \"x\" inline=\"true\" { env { TOKEN \"s3cret\" } }\nservice \"y\" { command \"y\"; env { TOKEN \"it's s3cret\" } }";
    let steps = resolved(&folder, body).unwrap();
    for step in &steps {
        let written = serde_json::to_string(step).unwrap();
        assert!(!written.contains("s3cret") && written.contains("sha256:"), "{written}");
    }
    let Work::Shell { env, .. } = &steps[1].work else { panic!() };
    assert_eq!(env["RIG_SERVICE_ENV"], "TOKEN='it'\\''s s3cret'\n");
    assert_eq!(env["RIG_HOST"], "node1");
}
