//! The page: whole in itself, well formed, and with the document's numbers.

use crate::example;
use html5gum::{StartTag, Token, Tokenizer};
use rig_compare::{Comparison, Summary, html, summarise};
use std::collections::{BTreeMap, BTreeSet};

/// An element with its attributes.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Element {
    fn of(tag: &StartTag<()>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let attributes = tag.attributes.iter().map(|(name, value)| (text(name), text(value)));
        Self { name: text(&tag.name), attributes: attributes.collect() }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// The elements of a page and all of its text; elements that are left open are a mistake.
fn read(page: &str) -> (Vec<Element>, String) {
    const VOID: [&str; 3] = ["meta", "br", "link"];
    let (mut elements, mut text, mut open) = (Vec::new(), String::new(), Vec::new());
    for Ok(token) in Tokenizer::new(page) {
        match token {
            Token::StartTag(tag) => {
                let element = Element::of(&tag);
                if !tag.self_closing && !VOID.contains(&element.name.as_str()) {
                    open.push(element.name.clone());
                }
                elements.push(element);
            }
            Token::EndTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                assert_eq!(open.pop(), Some(name), "elements are closed in order");
            }
            Token::String(string) => text.push_str(&String::from_utf8_lossy(&string)),
            Token::Error(error) => panic!("not well formed: {error:?}"),
            _ => {}
        }
    }
    assert_eq!(open, Vec::<String>::new());
    (elements, text)
}

fn page(comparison: &Comparison, unfair: bool) -> (String, Summary) {
    let summary = summarise(comparison, unfair).unwrap();
    (html(comparison, &summary).unwrap(), summary)
}

/// Every number that an element carries is the one of the document.
fn compare_with_document(elements: &[Element], summary: &Summary) -> usize {
    let document = serde_json::to_value(summary).unwrap();
    let metrics = document["metrics"].as_array().unwrap();
    let (mut metric, mut topology) = (String::new(), String::new());
    let mut seen = 0;
    for element in elements {
        // Marks of a drawing belong to the drawing's metric and topology.
        if let Some(id) = element.get("data-metric") {
            id.clone_into(&mut metric);
        }
        if let Some(name) = element.get("data-topology") {
            name.clone_into(&mut topology);
        }
        let Some(value) = element.get("data-value") else { continue };
        let value: f64 = value.parse().unwrap();
        let of = metrics.iter().find(|one| one["metric"] == metric).unwrap();
        let find =
            |list: &str| of[list].as_array().unwrap().iter().find(|one| one["topology"] == topology).unwrap().clone();
        let expected = match (element.get("data-stat"), element.get("data-run")) {
            (Some("median"), _) => find("topologies")["spread"]["median"].as_f64(),
            (Some("ratio"), _) => {
                let ratio = find("pairs")["ratio"].clone();
                let number = |name: &str| element.get(name).unwrap().parse::<f64>().ok();
                assert_eq!(number("data-low"), ratio["low"].as_f64());
                assert_eq!(number("data-high"), ratio["high"].as_f64());
                ratio["value"].as_f64()
            }
            (None, Some(run)) => {
                let dots = find("topologies")["dots"].clone();
                let dot = dots
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|dot| dot["run"].as_u64() == run.parse().ok())
                    .unwrap()
                    .clone();
                dot["value"].as_f64()
            }
            other => panic!("an unknown number: {other:?}"),
        };
        assert_eq!(Some(value), expected, "{metric} of {topology}");
        seen += 1;
    }
    seen
}

#[test]
fn numbers_are_those_of_the_document() {
    for comparison in [example::realistic(), example::unfair()] {
        for unfair in [false, true] {
            let (page, summary) = page(&comparison, unfair);
            let (elements, text) = read(&page);
            let text = text.replace('\u{a0}', " ");
            assert!(compare_with_document(&elements, &summary) > 300);
            let refused =
                comparison.fairness.is_empty() || text.contains("not fair: heap.executor of role worker differs");
            assert!(refused, "a ratio that is not fair says so, shown or not");
            for answer in &summary.answers {
                for sentence in &answer.sentences {
                    assert!(text.contains(sentence), "the page lacks: {sentence}");
                }
            }
            for metric in &summary.metrics {
                assert!(text.contains(&metric.title) && text.contains(&metric.metric));
                assert!(metric.topologies.iter().all(|cell| text.contains(&cell.shown)), "{}", metric.metric);
            }
        }
    }
}

#[test]
fn it_needs_nothing_else() {
    let (page, _) = page(&example::realistic(), false);
    let (elements, _) = read(&page);
    for element in &elements {
        assert!(!["script", "iframe", "img", "object", "embed", "link", "base"].contains(&element.name.as_str()));
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on"), "{name} would be a script");
            if ["href", "src", "srcset", "action", "xlink:href"].contains(&name.as_str()) {
                assert!(value.starts_with('#'), "{value}");
            }
        }
    }
    let lower = page.to_lowercase();
    for far in ["http:", "https:", "//", "@import", "url(h", "javascript:"] {
        assert!(!lower.contains(far), "the page has {far}");
    }
}

#[test]
fn it_can_be_found_ones_way_in() {
    let (page, _) = page(&example::unfair(), false);
    let (elements, _) = read(&page);
    let ids: Vec<&str> = elements.iter().filter_map(|element| element.get("id")).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len(), "ids are unique");
    let targets = ["href", "aria-labelledby", "fill"];
    for (name, value) in elements.iter().flat_map(|element| &element.attributes) {
        let target = value.strip_prefix("url(#").and_then(|rest| rest.strip_suffix(')')).unwrap_or(value);
        if targets.contains(&name.as_str()) {
            assert!(distinct.contains(target.trim_start_matches('#')), "{name} leads to {value}");
        }
    }
    let count = |name: &str| elements.iter().filter(|element| element.name == name).count();
    for landmark in ["header", "main", "nav", "footer", "h1", "title"] {
        let allowed = if landmark == "title" { count("title") >= 1 } else { count(landmark) == 1 };
        assert!(allowed, "{landmark}");
    }
    assert_eq!(elements.first().and_then(|element| element.get("lang")), Some("en"));
    assert_eq!(count("table"), count("caption"));
    // Headings go down one step at a time.
    let mut level = 0;
    for element in &elements {
        if let Some(next) = element.name.strip_prefix('h').and_then(|digit| digit.parse::<u32>().ok()) {
            assert!(next <= level + 1, "h{next} follows h{level}");
            level = next;
        }
    }
    for drawing in elements.iter().filter(|element| element.name == "svg") {
        let spoken = drawing.get("role") == Some("img");
        assert!(spoken != (drawing.get("aria-hidden") == Some("true")), "a drawing is described or hidden");
    }
}

#[test]
fn texts_of_others_stay_texts() {
    let mut comparison = example::realistic();
    let evil = "</style><script>alert(1)</script>\" onload=\"x";
    comparison.host.os = evil.to_owned();
    let why = evil.to_owned();
    let metric = rig_compare::catalogue::find("up.ready").unwrap();
    example::set(&mut comparison, "naughty", "up.ready", |_| rig_compare::Measured::missing(metric, evil));
    example::fail(&mut comparison, "immutable", rig_compare::Scenario::Up, 1, &why);
    let (page, _) = page(&comparison, false);
    let (elements, text) = read(&page);
    assert!(elements.iter().all(|element| element.name != "script" && element.get("onload").is_none()));
    assert!(text.contains(evil) && !page.contains(evil));
}

#[test]
fn four_topologies_with_fifty_runs_fit() {
    let large = example::finished(&["naughty", "immutable", "naughty-too", "immutable-too"], 50, "512m");
    let (page, summary) = page(&large, false);
    assert!(page.len() < 500_000, "{} bytes", page.len());
    let (elements, _) = read(&page);
    assert!(compare_with_document(&elements, &summary) > 2000);
}

#[test]
fn an_example_is_left_for_the_eye() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    for (name, comparison) in [("example", example::unfair()), ("fair", example::realistic())] {
        let (page, _) = page(&comparison, false);
        fs_err::write(format!("{folder}/{name}.html"), page).unwrap();
    }
    let four = example::finished(&["naughty", "immutable", "naughty-too", "immutable-too"], 20, "512m");
    fs_err::write(format!("{folder}/four.html"), page(&four, false).0).unwrap();
}
