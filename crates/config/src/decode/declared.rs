//! Things with names that other nodes refer to.

use crate::{
    context::{At, Context, Draft},
    suggest,
};
use indexmap::IndexMap;
use rig_model::Name;

/// Declarations of one kind. One that could not be read is known all the same, so that references to it are no mistakes.
pub(crate) struct Declared<T> {
    /// What it is called in messages (`box`).
    what: &'static str,
    items: IndexMap<Name, (At, Option<T>)>,
}

impl<T> Declared<T> {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, items: IndexMap::new() }
    }

    /// Adds a declaration; a second one with the same name is reported.
    pub(crate) fn declare(&mut self, cx: &mut Context, name: Name, at: At, value: Option<T>) {
        let what = self.what;
        if let Some((first, _)) = self.items.get(&name) {
            cx.report(
                Draft::new(at, format!("{what} `{name}` is declared twice"))
                    .label("again")
                    .help("rename or remove one of them")
                    .also(*first, "first declared here"),
            );
            return;
        }
        self.items.insert(name, (at, value));
    }

    /// The name of a declaration that a text refers to; an unknown one is reported.
    pub(crate) fn refer(&self, cx: &mut Context, text: &str, at: At) -> Option<&Name> {
        let found = self.items.get_key_value(text).map(|(name, _)| name);
        if found.is_none() {
            let what = self.what;
            let fallback = format!("declare it: `{what} \"{text}\" …`");
            let help = suggest::help(text, self.items.keys().map(Name::as_str), &fallback);
            cx.report(Draft::new(at, format!("there is no {what} `{text}`")).label("not declared").help(help));
        }
        found
    }

    /// Whether something of that name was declared, readable or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.items.keys().map(Name::as_str)
    }

    /// Where something was declared.
    pub(crate) fn at(&self, name: &str) -> Option<At> {
        self.items.get(name).map(|(at, _)| *at)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.items.get(name)?.1.as_ref()
    }

    /// What was declared and could be read, in the file's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &T)> {
        self.items.iter().filter_map(|(name, (_, value))| Some((name, value.as_ref()?)))
    }

    /// What was declared and could be read.
    pub(crate) fn into_items(self) -> impl Iterator<Item = (Name, T)> {
        self.items.into_iter().filter_map(|(name, (_, value))| Some((name, value?)))
    }
}
