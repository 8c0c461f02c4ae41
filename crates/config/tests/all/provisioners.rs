//! Provisioners and recipes.

use crate::support::{Memory, line};
use rig_config::{Overrides, parse};
use rig_model::{FileSource, MachineSpec, RunPolicy, Script, StepKind, Workspace};

const TOOL: &str = r#"
recipe "tool" {
    description "A tool."
    parameter "port" default=80
    parameter "peer"
    parameter "greeting" default="hello {peer}"
    packages "curl"
    template "config.j2" "/etc/tool" mode="0640" owner="tool:tool"
    shell "start" path="start.sh" { args "{port}" "two  words"; env { GREETING "{greeting}" } }
    service "tool" { after "{peer}"; user "tool"; command "/usr/bin/tool" "{host}" }
    artifact "tool" { source "list:tool.list"; sha256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
    check "port" tcp="{port}" { timeout "5s" }
    check "words" { run "/usr/bin/tool" "--ask" "{peer}"; expect stdout="hello" }
}
"#;

const CHAIN: &str = "recipe \"chain\" { requires \"tool\"; shell \"link\" inline=\"true\" }";

fn files() -> Memory {
    Memory::with(&[
        ("recipes/tool/recipe.kdl", TOOL),
        ("recipes/tool/config.j2", ""),
        ("recipes/tool/start.sh", ""),
        ("recipes/tool/tool.list", ""),
        ("recipes/chain/recipe.kdl", CHAIN),
        ("scripts/own.sh", ""),
    ])
}

fn text(body: &str) -> String {
    format!(
        "workspace \"test\"\nvariable \"size\" 3\nbox \"base\" {{ image \"debian\" }}\ntopology \"lab\" idiom=\"mutable\" {{\ndefaults {{ box \"base\" }}\n{body}\n}}\n"
    )
}

fn workspace(body: &str) -> Workspace {
    match parse("workspace.kdl", &text(body), &Overrides::default(), &files()) {
        Ok(loaded) => loaded.workspace,
        Err(mistakes) => panic!("{}", super::support::render(&mistakes)),
    }
}

fn wrong(body: &str) -> Vec<String> {
    match parse("workspace.kdl", &text(body), &Overrides::default(), &files()) {
        Ok(_) => panic!("expected mistakes in {body}"),
        Err(mistakes) => mistakes.iter().map(line).collect(),
    }
}

fn names(machine: &MachineSpec) -> Vec<String> {
    machine.steps.iter().map(|step| step.id.to_string()).collect()
}

#[test]
fn a_recipe_becomes_steps_with_its_parameters_filled_in() {
    let workspace = workspace("machine \"a\"\nmachine \"b\" { recipe \"tool\" peer=\"a\" port=8080 }");
    let machine = workspace.machines().find(|machine| machine.id.machine.as_str() == "b").unwrap();
    let expected = ["tool: packages curl", "tool: template /etc/tool", "tool: start", "tool: service tool"];
    assert_eq!(names(machine), expected);
    let StepKind::Shell { script, args, env, privileged, .. } = &machine.steps[2].kind else { panic!() };
    assert_eq!(*script, Script::Path("recipes/tool/start.sh".to_owned()));
    assert_eq!(args.iter().map(ToString::to_string).collect::<Vec<_>>(), ["8080", "two  words"]);
    assert_eq!(env["GREETING"].to_string(), "hello a");
    assert!(privileged);
    let StepKind::Template { source, rights, .. } = &machine.steps[1].kind else { panic!() };
    assert_eq!(
        (source.as_str(), rights.mode, rights.owner.as_deref()),
        ("recipes/tool/config.j2", Some(0o640), Some("tool:tool"))
    );
    let StepKind::Service(service) = &machine.steps[3].kind else { panic!() };
    assert_eq!(service.command[1].to_string(), "b");
    assert_eq!(machine.steps[3].after[0].machine.to_string(), "lab/a");
    assert_eq!(machine.ssh.as_ref().unwrap().user, "rig");
}

#[test]
fn a_step_never_waits_for_its_own_machine() {
    let workspace = workspace("machine \"a\" { recipe \"tool\" peer=\"a\" }");
    assert!(workspace.machines().next().unwrap().steps.iter().all(|step| step.after.is_empty()));
}

#[test]
fn steps_are_chosen_by_index_and_by_rank() {
    let body = r#"
        machine "n" count="{size}" role="{if-first head tail}" {
            shell "first" inline="true" only=1
            shell "others" inline="true" except=1
            shell "all" inline="echo {role}" run="always"
        }"#;
    let workspace = workspace(body);
    let steps: Vec<_> = workspace.machines().map(names).collect();
    assert_eq!(steps, [["first", "all"], ["others", "all"], ["others", "all"]]);
    let roles: Vec<_> = workspace.machines().map(|machine| machine.role.clone().unwrap()).collect();
    assert_eq!(roles, ["head", "tail", "tail"]);
    assert_eq!(workspace.machines().next().unwrap().steps[1].run, RunPolicy::Always);
}

#[test]
fn order_is_the_files_unless_a_provisioner_names_its_place() {
    let body = r#"
        machine "a" {
            shell "one" inline="true"
            shell "three" inline="true"
            shell "two" inline="true" before="three"
            shell "four" inline="true" behind="three"
            shell "five" inline="true" behind="three"
            shell "zero" inline="true" before="one"
        }"#;
    assert_eq!(names(workspace(body).machines().next().unwrap()), ["zero", "one", "two", "three", "four", "five"]);
}

#[test]
fn defaults_come_first() {
    let body = "machine \"a\" { shell \"own\" path=\"scripts/own.sh\" }";
    let body = text(body).replace("box \"base\" }", "box \"base\"; shell \"common\" inline=\"true\" }");
    let loaded = parse("workspace.kdl", &body, &Overrides::default(), &files()).unwrap();
    assert_eq!(names(loaded.workspace.machines().next().unwrap()), ["common", "own"]);
}

#[test]
fn files_and_groups_that_come_one_by_one() {
    let body = r#"machine "n" count=3 { serial; file "scripts" "/opt/scripts/" owner="root"; leave "bye" timeout="5m" remove-volumes=#true }"#;
    let workspace = workspace(body);
    let after: Vec<_> = workspace
        .machines()
        .map(|machine| machine.after.iter().map(|other| other.machine.machine.to_string()).collect::<Vec<_>>())
        .collect();
    assert_eq!(after, [vec![], vec!["n1".to_owned()], vec!["n2".to_owned()]]);
    let StepKind::File { source, target, .. } = &workspace.machines().next().unwrap().steps[0].kind else { panic!() };
    assert_eq!((source, target.as_str()), (&FileSource::Path("scripts".to_owned()), "/opt/scripts"));
    let leave = &workspace.topologies["lab"].leaves["n"];
    assert!(leave.remove_volumes && leave.command == ["bye"]);
}

#[test]
fn mistakes_in_provisioners() {
    for (body, expected) in [
        ("recipe \"toll\"", "there is no recipe `toll`"),
        ("recipe \"tool\"", "recipe `tool` needs the parameter `peer`"),
        ("recipe \"tool\" peer=\"a\" prot=1", "recipe `tool` has no parameter `prot` | did you mean `port`?"),
        ("recipe \"tool\" peer=\"a\" port=\"x\"", "`port` takes an integer, this is a text"),
        ("recipe \"tool\" peer=\"nobody\"", "there is no machine `nobody` in this topology"),
        ("recipe \"chain\"", "recipe `chain` needs the recipe `tool` before it"),
        ("recipe \"tool\" peer=\"a\"; recipe \"tool\" peer=\"a\"", "two provisioners called `tool`"),
        ("shell \"x\"", "`shell` has no script"),
        ("shell \"x\" inline=\"a\" path=\"scripts/own.sh\"", "a step runs one script"),
        ("shell \"x\" path=\"scripts/none.sh\"", "there is no file scripts/none.sh"),
        ("shell \"x\" path=\"scripts\"", "scripts is a folder"),
        ("shell \"x\" inline=\"true\" run=\"twice\"", "`run` cannot be \"twice\""),
        ("shell \"x\" inline=\"true\" before=\"y\"", "there is no provisioner `y` to stand beside"),
        ("shell \"x\" inline=\"true\" before=\"x\" behind=\"x\"", "a provisioner has one place"),
        ("shell \"x\" inline=\"true\" only=1", "chooses a machine of a group"),
        ("shell \"x\" inline=\"{if-first a b}\"", "known only in machines with a `count`"),
        ("file \"scripts/own.sh\" \"relative\"", "is not an absolute path"),
        ("file \"scripts/own.sh\" \"/x\" mode=\"999\"", "is not a file mode"),
        ("file \"scripts/own.sh\" \"/x\" owner=\"a b\"", "is not an owner"),
        ("file artifact=\"none\" \"/x\"", "there is no artifact `none`"),
        ("packages", "`packages` needs a package's name"),
        ("packages \"a b\"", "is not the name of a package"),
        ("service \"x\"", "`service` has no command"),
        ("ssh port=0", "`port` is from 1 to 65535"),
        ("leave", "`leave` needs a command"),
    ] {
        let found = wrong(&format!("machine \"a\" {{\n{body}\n}}"));
        assert!(found.iter().any(|line| line.contains(expected)), "{body}: {found:?}");
        assert_eq!(found.len(), 1, "{body}: {found:?}");
    }
}

#[test]
fn a_broken_recipe_is_reported_in_its_own_file() {
    let mut files = files();
    files.add(
        "recipes/tool/recipe.kdl",
        b"recipe \"tool\" {\n    packges \"curl\"\n    shell \"x\" path=\"none.sh\"\n}\n",
    );
    let text = text("machine \"a\" count=2 { recipe \"tool\" }");
    let mistakes = parse("workspace.kdl", &text, &Overrides::default(), &files).unwrap_err();
    let lines: Vec<String> = mistakes.iter().map(line).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("did you mean `packages`?")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("there is no file recipes/tool/none.sh")), "{lines:?}");
}

#[test]
fn machines_that_wait_for_each_other_through_steps_are_a_circle() {
    let body = r#"
        machine "a" { service "x" { command "x"; after "b" } }
        machine "b" { after "a" }"#;
    let found = wrong(body);
    assert!(found[0].contains("wait for each other in a circle"), "{found:?}");
}

#[test]
fn a_group_that_was_scaled_to_nothing_leaves_its_checks_out() {
    let body = r#"
        machine "a"
        machine "n" count="{size}" role="worker"
        check "count" on="a" { run "test" "{worker.count}" }
        check "works" on="worker" { run "true" }
        check "restart" on="a" { restart "worker" "a"; then "works" "count" }
        check "restart-all" on="a" { restart "worker" }"#;
    let names = |size: &str| -> Vec<String> {
        let overrides = Overrides { variables: vec![("size".into(), size.into())], ..Overrides::default() };
        let loaded = parse("workspace.kdl", &text(body), &overrides, &files()).unwrap();
        loaded.workspace.checks.iter().map(|check| check.name.to_string()).collect()
    };
    assert_eq!(names("2"), ["count", "works", "restart", "restart-all"]);
    assert_eq!(names("0"), ["count", "restart"]);
    let found = wrong("machine \"a\"\ncheck \"r\" on=\"a\" { restart \"a\"; then \"none\" }");
    assert!(found[0].contains("there is no check `none`"), "{found:?}");
    let found = wrong("machine \"a\"\ncheck \"r\" on=\"a\" { restart \"a\"; expect stdout=\"x\" }");
    assert!(found[0].contains("no output to expect"), "{found:?}");
}

#[test]
fn the_repositorys_recipes_are_read() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let artifact = |name: &str| {
        format!("artifact \"{name}\" {{ source \"https://example.org/{name}\"; sha256 \"{}\" }}\n", "0".repeat(64))
    };
    let body = text(
        r#"
        machine "node" count=2 {
            recipe "jdk"
            recipe "spark" role="worker" master="node1"
            recipe "cassandra" seeds="node1"
            recipe "zookeeper" id="{n}" ensemble="{node.hosts}"
        }"#,
    );
    let artifacts: String = ["spark", "connector", "cassandra"].map(artifact).concat();
    let body = body.replacen("variable", &format!("{artifacts}variable"), 1);
    match parse("workspace.kdl", &body, &Overrides::default(), &rig_config::Disk::new(root)) {
        Ok(loaded) => assert!(loaded.workspace.machines().all(|machine| machine.steps.len() > 30)),
        Err(mistakes) => panic!("{}", super::support::render(&mistakes)),
    }
}

#[test]
fn a_recipes_checks_are_of_the_machines_that_use_it() {
    let workspace = workspace(
        "machine \"a\"\nmachine \"b\" count=2 { recipe \"tool\" peer=\"a\" port=8080 except=2 }\ncheck \"own\" on=\"a\" tcp=1",
    );
    let names: Vec<&str> = workspace.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["tool-port-b1", "tool-words-b1", "own"]);
    let rig_model::CheckTarget::Run { on, command, .. } = &workspace.checks[1].target else { panic!() };
    assert_eq!(on.machine.as_str(), "b1");
    assert_eq!(command[2], rig_model::Text::literal("a"));
    let wrong =
        wrong("machine \"a\"\nmachine \"b\" { recipe \"tool\" peer=\"a\" }\ncheck \"tool-port-b\" on=\"a\" tcp=1");
    assert!(wrong.len() == 1 && wrong[0].contains("two checks called `tool-port-b`"), "{wrong:?}");
}

#[test]
fn a_recipes_artifacts_are_those_of_the_workspace_unless_it_has_its_own() {
    let body = "machine \"a\"\nmachine \"b\" { recipe \"tool\" peer=\"a\" }";
    let source = |workspace: &Workspace| format!("{:?}", workspace.artifacts["tool"].source);
    assert_eq!(source(&workspace(body)), "List(\"recipes/tool/tool.list\")");
    let own = "artifact \"tool\" { source \"https://example.org/tool\"; sha256 \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\" }\n";
    let text = text(body).replace("topology", &format!("{own}topology"));
    let loaded = parse("workspace.kdl", &text, &Overrides::default(), &files()).unwrap();
    assert!(source(&loaded.workspace).contains("example.org"));
}
