//! What a user sees of a file with many mistakes.

use super::support::{render, try_load};

const TEN: &str = r##"workspace "demo"

variable "workers" "two" type="integer"

flavor "small" cpus=0 memory="1GiBB"

box "spark" { build "boxes/spark" from="jvn" }
box "jvm" { build "boxes/jvm" }

topology "cluster" idiom="imutable" {
    network "net" subnet="10.8.0.0/24"
    machine "master" {
        box "sprak"
        ip "10.9.0.5"
        comand "master"
        port 8080
    }
    machine "worker" count="{wrokers}" {
        box "spark"
        port 8080
        cap drop="NET_ROW"
        after "master" is="redy"
        shell "apt-get install spark"
    }
}
check "pi" on="mastr" { run "pi" }
"##;

#[test]
fn many_mistakes_are_one_report() {
    let mistakes = try_load(TEN).unwrap_err();
    assert!(mistakes.iter().len() >= 10);
    insta::assert_snapshot!(render(&mistakes));
}

#[test]
fn syntax_mistakes_are_one_report() {
    let text = "workspace \"demo\n\ntopology \"a\" idiom=immutable= {\n  machine \"x\" count=0x {\n    read-only true\n    command \"a\" = \"b\"\n  }\n}\n}\nvariable \"x\" 1. // fine\n";
    insta::assert_snapshot!(render(&try_load(text).unwrap_err()));
}
