//! How calls misbehave.

use crate::{FakeProvider, Verb};
use rig_provider_api::{ProviderError, Result};
use std::time::Duration;

/// Whether `pattern` names `subject`: the whole of it, or what precedes a final `*`.
pub(crate) fn matches(pattern: &str, subject: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == subject, |start| subject.starts_with(start))
}

/// What happens to a call instead of, before or after its work.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It takes longer.
    Takes(Duration),
    /// It ends with this error.
    Fails(ProviderError),
    /// It ends with an error that names it and gives this reason.
    FailsFor(String),
    /// It never ends by itself.
    Hangs,
}

/// When an effect takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing has been changed yet.
    Before,
    /// The object is made, the answer is still out: what a crash in the middle of a call looks like.
    After,
}

#[derive(Debug)]
struct Rule {
    verb: Verb,
    pattern: String,
    nth: Option<usize>,
    met: usize,
    moment: Moment,
    effect: Effect,
}

/// All rules, in the order of their declaration.
#[derive(Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    /// What happens to this call.
    pub(crate) fn effects(&mut self, verb: Verb, subject: &str) -> Effects {
        let mut effects = Effects::default();
        for rule in self.0.iter_mut().filter(|rule| rule.verb == verb && matches(&rule.pattern, subject)) {
            rule.met += 1;
            if rule.nth.is_none_or(|nth| nth == rule.met) {
                match rule.moment {
                    Moment::Before => effects.before.push(rule.effect.clone()),
                    Moment::After => effects.after.push(rule.effect.clone()),
                }
            }
        }
        effects
    }
}

/// What happens to one call.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) before: Vec<Effect>,
    pub(crate) after: Vec<Effect>,
}

impl Effects {
    /// Lets them take place, one after the other, in a call that does this.
    pub(crate) async fn play(effects: Vec<Effect>, doing: &str) -> Result<()> {
        for effect in effects {
            match effect {
                Effect::Takes(time) => tokio::time::sleep(time).await,
                Effect::Fails(error) => return Err(error),
                Effect::FailsFor(why) => return Err(ProviderError::failed(doing, why)),
                Effect::Hangs => std::future::pending().await,
            }
        }
        Ok(())
    }
}

/// Says to which calls something happens; its last method says what. Made by [`FakeProvider::on`].
#[must_use = "nothing happens without `fails`, `hangs` or `takes`"]
pub struct RuleBuilder<'a> {
    fake: &'a FakeProvider,
    verb: Verb,
    pattern: String,
    nth: Option<usize>,
    moment: Moment,
}

impl<'a> RuleBuilder<'a> {
    pub(crate) fn new(fake: &'a FakeProvider, verb: Verb) -> Self {
        Self { fake, verb, pattern: "*".to_owned(), nth: None, moment: Moment::Before }
    }

    /// Only calls about this subject (see [`Call::subject`](crate::Call)); a final `*` stands for any rest.
    pub fn of(mut self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.pattern);
        self
    }

    /// Only the `nth` matching call from now on, counted from 1.
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only after the call has done its work: the object is made, the answer does not arrive.
    pub fn after(mut self) -> Self {
        self.moment = Moment::After;
        self
    }

    /// The calls fail for this reason.
    pub fn fails(self, why: &str) {
        self.add(Effect::FailsFor(why.to_owned()));
    }

    /// The calls fail with this error.
    pub fn fails_with(self, error: ProviderError) {
        self.add(Effect::Fails(error));
    }

    /// The calls go on until they are cancelled, dropped or past their deadline.
    pub fn hangs(self) {
        self.add(Effect::Hangs);
    }

    /// The calls take at least this long.
    pub fn takes(self, time: Duration) {
        self.add(Effect::Takes(time));
    }

    fn add(self, effect: Effect) {
        let Self { fake, verb, pattern, nth, moment } = self;
        fake.engine.lock().rules.0.push(Rule { verb, pattern, nth, met: 0, moment, effect });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_star_stands_for_any_rest() {
        assert!(matches("*", "a/b"));
        assert!(matches("a/*", "a/b"));
        assert!(matches("a/b", "a/b"));
        assert!(!matches("a/b", "a/b2"));
        assert!(!matches("b*", "a/b"));
    }
}
