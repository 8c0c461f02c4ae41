//! Questions to a service: `ready` of a machine, and checks that ask.

use super::only::is_meant;
use crate::{
    context::Draft,
    eval::Eval,
    reader::{Reader, Value},
    scope::{Cast, Member},
};
use rig_model::{Part, Probe, ProbeKind, Text};
use std::time::Duration;

/// The pause between two tries when the file names none.
const EVERY: Duration = Duration::from_millis(250);

/// Stands for an address that is not given out yet, where a text is checked.
const SOME_ADDRESS: &str = "10.0.0.1";

/// What a question's node holds before anything is interpolated.
pub(crate) struct Question<'k> {
    tcp: Option<Value<'k>>,
    http: Option<Value<'k>>,
    log: Option<Value<'k>>,
    every: Option<Value<'k>>,
    exec: Option<Reader<'k>>,
    values: Vec<Reader<'k>>,
}

impl<'k> Question<'k> {
    /// Takes a question out of a node; `log` and `exec` are questions of `ready` alone.
    pub(crate) fn take(eval: &mut Eval<'_, '_>, node: &mut Reader<'k>, ready: bool) -> Self {
        Self {
            tcp: node.prop("tcp"),
            http: node.prop("http"),
            every: node.prop("every"),
            log: if ready { node.prop("log") } else { None },
            exec: if ready { node.block.one(eval.cx, "exec") } else { None },
            values: node.block.all("value"),
        }
    }

    /// How many questions it asks.
    pub(crate) fn count(&self) -> usize {
        [self.tcp.is_some(), self.http.is_some(), self.log.is_some(), self.exec.is_some()]
            .iter()
            .filter(|is| **is)
            .count()
    }

    /// Reads the question; `on` is the machine that is asked.
    pub(crate) fn probe(self, eval: &mut Eval<'_, '_>, node: crate::context::At, on: &Member) -> Option<Probe> {
        let every = match self.every {
            Some(value) => eval.duration(value, "every")?,
            None => EVERY,
        };
        if self.http.is_none()
            && let Some(value) = self.values.first()
        {
            eval.wrong(
                value.name_at(),
                "only an answer over HTTP has values",
                "ask with `http=\":8080/path\"`, or remove `value`",
            );
        }
        let values: Vec<Option<rig_model::Value>> = self.values.into_iter().map(|node| expected(eval, node)).collect();
        let kind = if let Some(value) = self.tcp {
            ProbeKind::Tcp { port: eval.integer(value, "tcp", 1..=65_535)? }
        } else if let Some(value) = self.http {
            let (port, path) = http(eval, value)?;
            ProbeKind::Http { port, path, values: values.into_iter().collect::<Option<_>>()? }
        } else if let Some(value) = self.log {
            let contains = eval.text(value, "log")?;
            if contains.0.iter().all(|part| matches!(part, Part::Literal(text) if text.trim().is_empty())) {
                eval.wrong(
                    value.at,
                    "`log` is empty, so every line would do",
                    "write a piece of the line that says so",
                );
            }
            ProbeKind::Log { contains }
        } else {
            let mut exec = self.exec?;
            let words = exec.some_args(eval.cx, "a command");
            exec.finish(eval.cx);
            ProbeKind::Exec { command: words.into_iter().map(|value| eval.text(value, "exec")).collect::<Option<_>>()? }
        };
        Some(Probe { on: on.id.clone(), kind, every, origin: eval.cx.origin(node) })
    }
}

/// One `ready` node.
pub(crate) fn ready(eval: &mut Eval<'_, '_>, mut node: Reader<'_>, cast: &Cast, own: &Member) -> Option<Probe> {
    let (at, name_at) = (node.at(), node.name_at());
    let question = Question::take(eval, &mut node, true);
    let on = node.prop("on");
    let is_meant = is_meant(eval, &mut node, own.index);
    node.finish(eval.cx);
    if !is_meant {
        return None;
    }
    if question.count() != 1 {
        let message =
            if question.count() == 0 { "`ready` asks nothing" } else { "`ready` asks several questions at once" };
        let draft = Draft::new(name_at, message).label("expected one question");
        eval.cx.report(draft.help("write one of `tcp=9042`, `http=\":8080/\"`, `log=\"started\"` or `{ exec \"…\" }`; several `ready` must all hold"));
        return None;
    }
    let on = match on {
        Some(value) => {
            let text = eval.word(value, "on")?;
            machine(eval, value, &text, cast)?
        }
        None => own,
    };
    question.probe(eval, at, on)
}

/// The machine that a text names; of a group the first.
pub(crate) fn machine<'c>(eval: &mut Eval<'_, '_>, value: Value<'_>, text: &str, cast: &'c Cast) -> Option<&'c Member> {
    let Some(found) = cast.find(text) else {
        let draft =
            Draft::new(value.at, format!("there is no machine `{text}` in this topology")).label("not declared");
        eval.cx.report(draft.help(cast.missing(text)));
        return None;
    };
    let first = cast.members.get(found).and_then(|members| members.first());
    if first.is_none() {
        eval.wrong(
            value.at,
            format!("group `{text}` has no machine"),
            "give it a `count` of at least 1, or name another machine",
        );
    }
    first
}

/// `":8080/json/"`: a port of the machine and a path.
fn http(eval: &mut Eval<'_, '_>, value: Value<'_>) -> Option<(u16, String)> {
    let text = eval.word(value, "http")?;
    let help = "write the port and the path: `http=\":8080/json/\"`; `on=` names the machine";
    let rest = text.strip_prefix("http://").unwrap_or(&text);
    let found = rest.strip_prefix(':').and_then(|rest| {
        let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        Some((port, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
    });
    match found {
        None => eval.wrong(value.at, format!("{text:?} is not an address to ask"), help),
        Some((_, path)) if path.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            eval.wrong(value.at, "a path cannot hold blanks", "write %20 for a blank");
            return None;
        }
        Some(_) => {}
    }
    found
}

/// `value "$.path" is="…"`.
fn expected(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> Option<rig_model::Value> {
    let path = node.arg(eval.cx, "a JSONPath");
    let is = node.prop("is");
    node.finish(eval.cx);
    let is = match is {
        Some(value) => Some(eval.text(value, "is")?),
        None => None,
    };
    let value = path?;
    if value.as_str().is_none() {
        eval.wrong_type(value, "value", "a JSONPath");
        return None;
    }
    let path = eval.text(value, "value")?;
    let closed: String = path
        .0
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Ip(_) => SOME_ADDRESS,
        })
        .collect();
    if let Err(error) = serde_json_path::JsonPath::parse(&closed) {
        let message = format!("{closed:?} is not a JSONPath: {error}");
        eval.wrong(value.at, message, "write it as `$.status` or `$.workers[?@.state=='ALIVE'].host` (RFC 9535)");
        return None;
    }
    Some(rig_model::Value { path: Text(path.0), is })
}
