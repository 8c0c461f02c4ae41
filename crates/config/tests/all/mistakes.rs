//! Every mistake that a file can have, with its message and help.

use super::support::{in_machine, in_topology, wrong};

/// Asserts that a text has exactly one mistake, which contains `expected`.
#[track_caller]
fn one(text: &str, expected: &str) {
    let found = wrong(text);
    assert!(found.len() == 1 && found[0].contains(expected), "expected {expected:?}, found {found:#?} in\n{text}");
}

fn top(body: &str) -> String {
    format!("workspace \"test\"\n{body}\n")
}

#[test]
fn of_the_workspace_node() {
    one("", "the file has no `workspace` node");
    one("// nothing\n", "begin it with `workspace \"name\"`");
    one("workspace", "`workspace` needs a name");
    one("workspace \"My Lab\"", "'M' is none of them");
    one("workspace \"a\"\nworkspace \"b\"", "2:1: `workspace` is given twice");
    one("workspace \"a\" \"b\"", "`workspace` takes one value");
    one("workspace \"a\" engine=\"x\"", "`workspace` has no property `engine`");
    one("workspace \"a\" { engin \"x\" }", "did you mean `engine`?");
    one("workspace 5", "`workspace` takes a text, this is an integer");
    one("workspace (u8)\"a\"", "the type `(u8)` means nothing here");
    one(&top("topolgy \"x\""), "did you mean `topology`?");
    one(&top("frobnicate"), "there is no `frobnicate` in a workspace file");
}

#[test]
fn of_variables() {
    one(&top("variable \"x\""), "has neither a default nor a type");
    one(&top("variable \"x\" type=\"integer\""), "variable `x` has no value | give it with `--var x=2`");
    one(&top("variable \"x\" \"a\" type=\"integer\""), "is of type integer, its default of type string");
    one(&top("variable \"x\" type=\"number\" 1"), "`type` cannot be \"number\"");
    one(&top("variable \"x\" #null"), "cannot be #null");
    one(&top("variable \"host\" \"a\""), "`host` is a fact of machines");
    one(&top("variable \"x\" 1\nvariable \"x\" 2"), "variable `x` is declared twice");
}

#[test]
fn of_quantities() {
    for (flavor, expected) in [
        ("cpus=-1", "`cpus`: must be more than zero"),
        ("cpus=1e300", "`cpus`: is too large"),
        ("cpus=#nan", "`cpus`: must be more than zero"),
        ("cpus=\"2\"", "`cpus` takes a number, this is a text"),
        ("memory=1024", "`memory` is 1024 of which unit?"),
        ("memory=\"1024\"", "`memory` is 1024 of which unit?"),
        ("memory=\"-1GiB\"", "`memory`: must be more than zero"),
        ("memory=\"99999999TiB\"", "`memory`: is too large"),
        ("memory=\"lots\"", "does not start with a number"),
        ("pids=0", "`pids` is from 1 to 4194304, not 0"),
        ("pids=1.5", "`pids` takes an integer, this is a number with a fraction"),
        ("cpu=1", "did you mean `cpus`?"),
        ("cpus=1 cpus=2", "`cpus` is given twice"),
    ] {
        one(&top(&format!("flavor \"f\" {flavor}")), expected);
    }
    one(&top("flavor \"f\" { cpus 1 }"), "`flavor` has no block");
}

#[test]
fn of_artifacts() {
    let digest = "0".repeat(64);
    let artifact = |source: &str| top(&format!("artifact \"a\" {{ source {source}\nsha256 \"{digest}\" }}"));
    one(&artifact("\"ftp://x\""), "\"ftp://x\" is not a source");
    one(&artifact("\"maven:group\""), "\"maven:group\" is not a source");
    one(&artifact("\"pypi:pyspark\""), "this source has many versions");
    one(&artifact("\"file:nowhere\""), "there is no file nowhere");
    one(&artifact("\"pypi:a\" verion=\"1\" version=\"1\""), "did you mean `version`?");
    one(&top("artifact \"a\" { source \"https://x\" }"), "an artifact needs a `sha256`");
    one(&top("artifact \"a\" { source \"https://x\"; sha256 \"abc\" }"), "this text has 3 characters");
}

#[test]
fn of_boxes() {
    one(&top("box \"a\""), "a box needs a source");
    one(&top("box \"a\" { build \"boxes/nowhere\" }"), "there is no folder boxes/nowhere");
    one(&top("box \"a\" { build \"boxes\" }"), "boxes holds no Dockerfile");
    one(&top("box \"a\" { build \"jobs/pi.py\" }"), "jobs/pi.py is a file");
    one(&top("box \"a\" { build \"boxes/jvm\" from=\"b\" }"), "there is no box `b`");
    one(&top("box \"a\" { build \"boxes/jvm\" from=\"a\" }"), "in a circle: a → a");
    one(
        &top("box \"a\" { build \"boxes/jvm\" from=\"b\" }\nbox \"b\" { build \"boxes/jvm\" from=\"a\" }"),
        "boxes are built from each other in a circle: a → b → a",
    );
    one(&top("box \"a\" { build \"boxes/jvm\" { artifact \"x\" } }"), "there is no artifact `x`");
    one(&top("box \"a\" { build \"boxes/jvm\" { arg \"A B\" 1 } }"), "cannot be a build argument");
    one(&top("box \"a\" { build \"boxes/jvm\" { arg \"RIG_FROM\" 1 } }"), "rig sets it to the parent");
    one(&top("box \"a\" { image \"two words\" }"), "is not the name of an image");
    one(&top("box \"a\" { bootstrap \"bookworm\" { package \"a b\" } }"), "is not the name of a Debian package");
    one(&top("box \"a\" { bootstrap \"bookworm\" { kernel \"6.1\" } }"), "kernel");
    one(&top("box \"a\" { bootstrap \"bookworm\" { kernel; tiny } }"), "a box is `tiny` or has a `kernel`");
    one(&top("box \"a\" { bootstrap \"bookworm\" { tiny; package \"curl\" } }"), "a `tiny` box has no packages");
    one(&top("box \"a\" { image \"x\" }\nbox \"a\" { image \"y\" }"), "box `a` is declared twice");
}

#[test]
fn of_topologies() {
    one(&top("topology \"a\""), "`topology` needs `idiom=…`");
    one(&top("topology \"a\" idiom=\"imutable\""), "did you mean `immutable`?");
    one(&top("topology \"a\" idiom=\"mutable\"\ntopology \"a\" idiom=\"mutable\""), "topology `a` is declared twice");
    let network = |node: &str| top(&format!("topology \"a\" idiom=\"mutable\" {{ network {node} }}"));
    one(&network("\"n\" subnet=\"10.8.0.0\""), "is not a range of IPv4 addresses");
    one(&network("\"n\" subnet=\"10.8.0.5/24\""), "did you mean \"10.8.0.0/24\"?");
    one(&network("\"n\" subnet=\"10.8.0.0/31\""), "a network of the size /31 is no use here");
    one(&network("\"n\" subnet=\"10.8.0.0/24\"; network \"m\" subnet=\"10.8.0.128/25\""), "overlaps");
    one(&network("\"n\"; network \"n\""), "network `n` is declared twice");
}

#[test]
fn of_groups() {
    for (machine, expected) in [
        ("\"x1\" count=2", "cannot end with one"),
        ("\"x\" count=-1", "`count` is from 0 to 500, not -1"),
        ("\"x\" count=501", "`count` is from 0 to 500, not 501"),
        ("\"x\" count=\"two\"", "`count` takes an integer, this is a text"),
        ("\"x\" count=2.5", "`count` takes an integer"),
        ("\"x\"; machine \"x\"", "machine `x` is declared twice"),
        ("\"x\" count=2; machine \"x2\"", "two machines are called `x2`"),
        ("\"X\"", "a name holds lower-case letters"),
        ("\"x\" { hostname \"a b\" }", "is not a host name"),
        ("\"x\" count=3 { hostname \"same\" }", "the host name `same` is that of x1 and of lab/x2"),
        ("\"x\" { hostname \"{n}\" }", "`{n}` is known only in machines with a `count`"),
        ("\"x\" { hostname \"{ip}\" }", "is not known yet where roles, host names and limits are made"),
        ("\"x\" { hostname \"{y.host}\" }", "machines are not known here"),
        ("\"x\" { flavor \"small\" }", "there is no flavor `small`"),
    ] {
        one(&in_topology(&format!("machine {machine}")), expected);
    }
    let long = "a".repeat(50);
    one(&in_topology(&format!("machine \"{long}\" count=1")), "a name has at most 50 characters");
    one("workspace \"t\"\ntopology \"a\" idiom=\"mutable\" { machine \"x\" }", "machine `x` has no box");
}

#[test]
fn of_addresses() {
    for (body, expected) in [
        ("ip \"10.9.0.5\"", "10.9.0.5 is outside the network `net`, 10.8.0.0/24"),
        ("ip \"10.8.0.0\"", "the network's own address"),
        ("ip \"10.8.0.1\"", "the gateway's address"),
        ("ip \"10.8.0.255\"", "the broadcast address"),
        ("ip \"10.8.0\"", "is not an IPv4 address"),
        ("network \"nit\"", "there is no network `nit` | did you mean `net`?"),
        ("network \"net\"; network \"net\"", "the machine is on network `net` twice"),
        ("network \"net\" ip=\"10.8.0.5\"; ip \"10.8.0.6\"", "has an `ip` and its first network another one"),
    ] {
        one(&in_machine(body), expected);
    }
    one(&in_topology("machine \"a\" count=2 { ip \"10.8.0.5\" }"), "10.8.0.5 is the address of a1 and of lab/a2");
    one(
        "workspace \"t\"\nbox \"b\" { image \"x\" }\ntopology \"a\" idiom=\"mutable\" { machine \"x\" { box \"b\"; ip \"10.8.0.5\" } }",
        "network `default` has no subnet",
    );
    one(
        "workspace \"t\"\nbox \"b\" { image \"x\" }\ntopology \"a\" idiom=\"mutable\" { network \"n\" subnet=\"10.0.0.0/29\"; machine \"x\" count=6 { box \"b\" } }",
        "network `n` has room for 5 machines, not for 6",
    );
}

#[test]
fn of_ports() {
    for (body, expected) in [
        ("port 0", "`port` is from 1 to 65535, not 0"),
        ("port 65536", "`port` is from 1 to 65535"),
        ("port \"http\"", "`port` takes an integer"),
        ("port 80 host=\"any\"", "a port's number or \"auto\""),
        ("port 80 bind=\"everywhere\"", "is not an address of the host"),
        ("port 80 protocol=\"sctp\"", "`protocol` cannot be \"sctp\""),
        ("port 80 only=1", "`only` chooses a machine of a group"),
        ("port 80; port 80 host=81", "port 80/tcp is published twice"),
        ("port 80 host=8080; port 81 host=8080", "port 8080/tcp of the host is published by"),
        ("port 80 host=8080 bind=\"0.0.0.0\"; port 81 host=8080", "port 8080/tcp of the host is published by"),
        ("port", "`port` needs a port's number"),
    ] {
        one(&in_machine(body), expected);
    }
    one(&in_topology("machine \"a\" count=3 { port 80 }"), "give one another port with `host=…`");
}

#[test]
fn of_mounts() {
    for (body, expected) in [
        ("volume \"data\" \"data\"", "did you mean \"/data\"?"),
        ("volume \"data\" \"/a/../b\"", "has `.` or `..` in it"),
        ("volume \"data\" \"/\"", "over the whole machine"),
        ("volume \"data\"", "`volume` needs a folder in the machine"),
        ("volume \"Data\" \"/data\"", "a name holds lower-case letters"),
        ("volume \"data\" \"/a\"; volume \"data\" \"/b\"", "volume `data` is mounted twice"),
        ("volume \"data\" \"/a\"; tmpfs \"/a/\"", "/a is mounted twice"),
        ("sync \"nowhere\" \"/a\"", "there is no folder nowhere"),
        ("sync \"jobs/pi.py\" \"/a\"", "jobs/pi.py is a file"),
        ("sync \"data\" \"/a\" writable=\"yes\"", "`writable` takes #true or #false, this is a text"),
        ("tmpfs \"/a\" size=64", "`size` is 64 of which unit?"),
        ("tmpfs \"/a\" mode=\"9\"", "is not a file mode"),
        ("tmpfs \"/a\" uid=-1", "`uid` is from 0"),
    ] {
        one(&in_machine(body), expected);
    }
}

#[test]
fn of_permissions_and_the_service() {
    for (body, expected) in [
        ("cap", "`cap` adds or drops nothing"),
        ("cap add=\"NET_ADMN\"", "did you mean `NET_ADMIN`?"),
        ("cap add=\"KILL\" drop=\"cap_kill\"", "capability KILL is both added and dropped"),
        ("privileged \"yes\"", "`privileged` takes #true or #false"),
        ("user \"a b\"", "is not a user"),
        ("restart \"allways\"", "did you mean `always`?"),
        ("stop-timeout 10", "`stop-timeout` takes a duration as \"30s\" or \"5m\", this is an integer"),
        ("stop-timeout \"10\"", "is not a duration"),
        ("command", "`command` needs at least one word"),
        ("env { \"A B\" 1 }", "cannot be a variable of the environment"),
        ("env { A 1; A 2 }", "A is set twice"),
        ("env { A }", "`A` needs a value"),
        ("box \"base\"; box \"base\"", "`box` is given twice"),
        ("box \"bse\"", "there is no box `bse` | did you mean `base`?"),
        ("recipe \"jdk\"", "an immutable machine cannot have provisioners"),
    ] {
        one(&in_machine(body), expected);
    }
}

#[test]
fn of_interpolation() {
    for (body, expected) in [
        ("command \"{wrkers}\"", "there is no variable or fact `wrkers`"),
        ("command \"{hots}\"", "did you mean `{host}`?"),
        ("command \"{\"", "a `{` without its `}`"),
        ("command \"}\"", "a `}` without its `{`"),
        ("command \"{a b}\"", "is not the name of a variable or fact"),
        ("command \"{cpus}\"", "machine db has no limit for cpus"),
        ("command \"{role}\"", "machine db has no role"),
        ("command \"{other.ip}\"", "there is no machine `other` in this topology"),
        ("command \"{db.adress}\"", "machines have no fact `adress`"),
        ("user \"{ip}\"", "cannot hold the address of a machine"),
    ] {
        one(&in_machine(body), expected);
    }
    let group = |fact: &str| in_topology(&format!("machine \"a\" count=2\nmachine \"b\" {{ command \"{{{fact}}}\" }}"));
    one(&group("a.ip"), "name one of them (`{a1.ip}`)");
    one(&group("a3.ip"), "`a` has 2 machines, counted from `a1`");
    one(&top("flavor \"f\" memory=\"{n}\""), "no machine is meant here");
}

#[test]
fn of_dependencies() {
    one(&in_machine("after \"bd\""), "there is no machine `bd` in this topology | did you mean `db`?");
    one(&in_machine("after \"db\""), "machines wait for each other in a circle: db → db");
    one(&in_machine("after \"db\" is=\"up\""), "`is` cannot be \"up\"");
    one(
        &in_topology("machine \"a\" { after \"b\" }\nmachine \"b\" { after \"c\" }\nmachine \"c\" { after \"a\" }"),
        "in a circle: a → b → c → a",
    );
    one(
        &in_topology("machine \"a\"\nmachine \"b\" { after \"a\"; after \"a\" is=\"started\" }"),
        "`a` is waited for twice",
    );
    let groups = in_topology("machine \"a\" count=20 { after \"b\" }\nmachine \"b\" count=20 { after \"a\" }");
    assert!(wrong(&groups).len() <= 2, "{:#?}", wrong(&groups));
}

#[test]
fn of_questions() {
    for (body, expected) in [
        ("ready", "`ready` asks nothing"),
        ("ready tcp=1 log=\"x\"", "`ready` asks several questions at once"),
        ("ready tcp=0", "`tcp` is from 1 to 65535"),
        ("ready http=\"8080\"", "is not an address to ask"),
        ("ready http=\"http://db:8080/\"", "`on=` names the machine"),
        ("ready http=\":8080/a b\"", "a path cannot hold blanks"),
        ("ready log=\"\"", "`log` is empty"),
        ("ready tcp=1 { value \"$.a\" }", "only an answer over HTTP has values"),
        ("ready http=\":1/\" { value \"$.[\" }", "is not a JSONPath"),
        ("ready tcp=1 every=\"soon\"", "is not a duration"),
        ("ready tcp=1 on=\"dc\"", "there is no machine `dc`"),
        ("ready { exec }", "`exec` needs a command"),
    ] {
        one(&in_machine(body), expected);
    }
}

#[test]
fn of_checks() {
    let check = |check: &str| in_topology(&format!("machine \"db\"\n{check}"));
    one(&check("check \"c\" { run \"x\" }"), "`check` needs `on=…`");
    one(&check("check \"c\" on=\"dc\" { run \"x\" }"), "did you mean `db`?");
    one(&check("check \"c\" on=\"db\""), "this check checks nothing");
    one(&check("check \"c\" on=\"db\" tcp=1 { run \"x\" }"), "a check does one thing");
    one(&check("check \"c\" on=\"db\" { run \"x\"; expect }"), "`expect` expects nothing");
    one(
        &check("check \"c\" on=\"db\" { run \"x\"; expect matches=\"(\" }"),
        "not a regular expression: unclosed group",
    );
    one(&check("check \"c\" on=\"db\" { run \"x\"; expect exit=256 }"), "`exit` is from 0 to 255");
    one(&check("check \"c\" on=\"db\" { run \"x\"; expect exit=1; expect exit=2 }"), "ends with one exit code");
    one(&check("check \"c\" on=\"db\" tcp=1 { expect exit=0 }"), "only what `run` runs");
    one(&check("check \"c\" on=\"db\" { run \"x\"; timeout \"never\" }"), "is not a duration");
    one(&check("check \"c\" on=\"db\" tcp=1\ncheck \"c\" on=\"db\" tcp=2"), "has two checks called `c`");
    one(&(check("") + "check \"c\" on=\"bad/db\" tcp=1"), "there is no topology `bad` here");
    one(&(check("") + "check \"c\" on=\"lab/dx\" tcp=1"), "there is no machine `dx`");
}

#[test]
fn of_other_tools_words() {
    one(&in_machine("provision \"shell\""), "steps are `shell`, `file`");
    one(&in_machine("forwarded_port 80"), "`port 80 host=8080`");
    one(&in_machine("depends_on \"db\""), "`after");
    one(&in_machine("memory \"1GiB\""), "`limits memory");
}

#[test]
fn of_drift() {
    one(&in_machine("drift { trash \"/x\" }"), "`drift` knows no class `trash`");
    one(&in_machine("drift { cache }"), "`cache` needs at least one pattern");
    one(&in_machine("drift { ignore \"var/x\" }"), "fits no path of a machine");
    one(&in_machine("drift { ignore \"/a/[\" }"), "is no pattern");
    for path in ["/a/../b", "/a//b", "/srv/uploads/", "/x/***"] {
        one(&in_machine(&format!("drift {{ ignore \"{path}\" }}")), "fits no path of a machine");
    }
    one(&in_machine("drift \"x\""), "`drift` takes no value");
}

#[test]
fn a_group_of_none_is_read_all_the_same() {
    one(&in_topology("machine \"w\" count=0 { prot 80 }"), "did you mean `port`?");
}

#[test]
fn a_mistake_in_defaults_or_a_group_is_reported_once() {
    let text = in_topology("machine \"a\" count=50 { prot 80; command \"{x}\" }\nmachine \"b\" count=50");
    let text = text.replace("defaults {", "defaults { cmmand \"x\";");
    assert_eq!(wrong(&text).len(), 3, "{:#?}", wrong(&text));
}

#[test]
fn of_comparisons() {
    let compare = |body: &str| {
        let machine = "box \"b\" { bootstrap \"bookworm\" }\nvariable \"size\" 1";
        let of = |name: &str| format!("topology \"{name}\" idiom=\"immutable\" {{ machine \"m\" {{ box \"b\" }} }}");
        let check = "check \"job\" on=\"m\" { run \"true\" }\ncheck \"only\" on=\"one/m\" { run \"true\" }";
        top(&format!("{machine}\n{}\n{}\n{check}\n{body}", of("one"), of("two")))
    };
    one(&compare("compare \"one\""), "a comparison needs two topologies or more");
    one(&compare("compare \"one\" \"tow\""), "there is no topology `tow` | did you mean `two`?");
    one(&compare("compare \"one\" \"one\""), "topology `one` is named twice");
    one(&compare("compare \"one\" \"two\"\ncompare \"one\" \"two\""), "`compare` is given twice");
    one(&compare("compare \"one\" \"two\" { runs 0 }"), "`runs` is from 1 to 1000, not 0");
    one(&compare("compare \"one\" \"two\" { job \"jbo\" }"), "there is no check `jbo` | did you mean `job`?");
    one(&compare("compare \"one\" \"two\" { checks \"jb\" }"), "there is no check `jb` | did you mean `job`?");
    one(&compare("compare \"one\" \"two\" { checks }"), "`checks` needs at least one check");
    one(&compare("compare \"one\" \"two\" { scenario \"boot\" }"), "`scenario` cannot be \"boot\"");
    one(
        &compare("compare \"one\" \"two\" { change \"sise\" 2 }"),
        "there is no variable `sise` | did you mean `size`?",
    );
    one(&compare("compare \"one\" \"two\" { change \"size\" }"), "`change` needs its new value");
    one(&compare("compare \"one\" \"two\" { run 3 }"), "did you mean `runs`?");
}
