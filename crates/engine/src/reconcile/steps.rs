//! Which provisioning steps a machine needs. Pure.

use super::changes::changes;
use crate::ProvisionOptions;
use rig_model::{Cause, Field, ResolvedStep, RunPolicy, StepId, StepRecord, StepSpec};

/// A step that runs.
pub(crate) struct Due {
    pub(crate) step: ResolvedStep,
    pub(crate) cause: Cause,
    /// Whether what depends on it runs as well.
    spreads: bool,
    /// What depends on it: a step whose ground is being changed has to run again, also when this plan ends early.
    pub(crate) stale: Vec<StepId>,
}

/// The steps that run, with their reasons, in order. `done` is what is known of this very machine.
///
/// A step of the machine's own block that runs makes everything behind it run. A step of a recipe makes the rest of that
/// recipe run, and the recipes that require it: other recipes have nothing to do with it.
pub(crate) fn due(
    specs: &[StepSpec],
    resolved: Vec<ResolvedStep>,
    done: &[StepRecord],
    options: &ProvisionOptions,
) -> Vec<Due> {
    let mut due: Vec<Due> = Vec::new();
    if options.skip {
        return due;
    }
    for (position, (spec, step)) in specs.iter().zip(resolved).enumerate() {
        let before = due.iter().filter(|due| due.spreads).find(|due| leads_to(&due.step.id, spec));
        let cause = cause(spec, &step, done, options, before.map(|due| &due.step.id));
        if let Some(cause) = cause {
            // What runs every time anyway is no news for what comes behind it.
            let spreads = !matches!(cause, Cause::Always);
            let behind = specs.iter().skip(position + 1);
            // The same thing once more, because the user wants it, shakes nothing.
            let is_same = done.iter().any(|record| record.id == spec.id && record.digest == step.digest());
            let shakes = spreads && !(is_same && matches!(cause, Cause::Requested));
            let stale = behind.filter(|other| shakes && leads_to(&spec.id, other)).map(|other| other.id.clone());
            let stale = stale.collect();
            due.push(Due { step, cause, spreads, stale });
        }
    }
    due
}

fn cause(
    spec: &StepSpec,
    step: &ResolvedStep,
    done: &[StepRecord],
    options: &ProvisionOptions,
    before: Option<&StepId>,
) -> Option<Cause> {
    let is_named = options
        .with
        .iter()
        .any(|name| spec.id.name == *name || spec.id.recipe.as_ref().is_some_and(|recipe| recipe.as_str() == name));
    if !options.with.is_empty() && !is_named {
        return None;
    }
    let record = done.iter().find(|record| record.id == spec.id);
    match spec.run {
        RunPolicy::Never => is_named.then_some(Cause::Requested),
        _ if options.force => Some(Cause::Requested),
        RunPolicy::Always => Some(Cause::Always),
        RunPolicy::Once => match (record, before) {
            (None, _) => Some(Cause::Missing),
            (Some(record), _) if record.digest != step.digest() => {
                let sealed: Vec<Field> = step.fields.iter().cloned().map(Field::sealed).collect();
                Some(Cause::Changed { changes: changes(&record.fields, &sealed) })
            }
            (Some(_), Some(before)) => Some(Cause::Follows { step: before.to_string() }),
            (Some(_), None) => None,
        },
    }
}

/// Whether a step that runs makes another one behind it run.
fn leads_to(before: &StepId, spec: &StepSpec) -> bool {
    match &before.recipe {
        None => true,
        Some(recipe) => spec.id.recipe.as_ref() == Some(recipe) || spec.requires.contains(recipe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_model::{Name, Origin, StepKind, Work};
    use std::time::Duration;

    fn id(recipe: &str, name: &str) -> StepId {
        let recipe = (!recipe.is_empty()).then(|| Name::new(recipe).unwrap());
        StepId { recipe, name: name.to_owned() }
    }

    fn spec(recipe: &str, name: &str, requires: &[&str], run: RunPolicy) -> StepSpec {
        StepSpec {
            id: id(recipe, name),
            requires: requires.iter().map(|name| Name::new(*name).unwrap()).collect(),
            run,
            timeout: Duration::from_secs(1),
            after: Vec::new(),
            kind: StepKind::Packages { names: Vec::new() },
            parameters: indexmap::IndexMap::default(),
            origin: Origin::default(),
        }
    }

    fn step(spec: &StepSpec, content: &str) -> ResolvedStep {
        ResolvedStep {
            id: spec.id.clone(),
            timeout: spec.timeout,
            fields: vec![Field { path: "content".into(), value: content.into() }],
            work: Work::default(),
            origin: Origin::default(),
        }
    }

    fn record(step: &ResolvedStep) -> StepRecord {
        StepRecord { id: step.id.clone(), digest: step.digest(), fields: step.fields.clone() }
    }

    /// Runs `due` where the step called `changed` has another content than its record, as `name (cause)` lines.
    fn lines(specs: &[StepSpec], changed: &str, options: &ProvisionOptions) -> Vec<String> {
        let done: Vec<StepRecord> = specs.iter().map(|spec| record(&step(spec, "old"))).collect();
        let content = |spec: &StepSpec| if spec.id.name == changed { "new" } else { "old" };
        let resolved = specs.iter().map(|spec| step(spec, content(spec))).collect();
        due(specs, resolved, &done, options).iter().map(|due| format!("{} ({})", due.step.id, due.cause)).collect()
    }

    fn machine() -> Vec<StepSpec> {
        use RunPolicy::Once;
        vec![
            spec("", "own", &[], Once),
            spec("jdk", "packages", &[], Once),
            spec("tools", "copy", &[], Once),
            spec("spark", "unpack", &["jdk"], Once),
            spec("spark", "service", &["jdk"], Once),
        ]
    }

    #[test]
    fn nothing_runs_when_nothing_changed() {
        assert!(lines(&machine(), "", &ProvisionOptions::default()).is_empty());
    }

    #[test]
    fn a_change_runs_what_depends_on_it_and_nothing_else() {
        let options = ProvisionOptions::default();
        let spark = ["spark: unpack (content: old → new)", "spark: service (follows spark: unpack)"];
        assert_eq!(lines(&machine(), "unpack", &options), spark);
        assert_eq!(lines(&machine(), "copy", &options), ["tools: copy (content: old → new)"]);
        let jdk = [
            "jdk: packages (content: old → new)",
            "spark: unpack (follows jdk: packages)",
            "spark: service (follows jdk: packages)",
        ];
        assert_eq!(lines(&machine(), "packages", &options), jdk);
        assert_eq!(lines(&machine(), "own", &options).len(), 5);
    }

    #[test]
    fn what_was_never_done_runs() {
        let specs = machine();
        let resolved = specs.iter().map(|spec| step(spec, "old")).collect();
        let all = due(&specs, resolved, &[], &ProvisionOptions::default());
        assert!(all.len() == 5 && all.iter().all(|due| due.cause == Cause::Missing));
    }

    #[test]
    fn policies_and_wishes_are_kept() {
        let mut specs = machine();
        specs[0].run = RunPolicy::Always;
        specs[2].run = RunPolicy::Never;
        let options = ProvisionOptions::default();
        assert_eq!(lines(&specs, "", &options), ["own (runs every time)"]);
        assert_eq!(lines(&specs, "copy", &options), ["own (runs every time)"]);
        let with = ProvisionOptions { with: vec!["tools".to_owned()], ..ProvisionOptions::default() };
        assert_eq!(lines(&specs, "", &with), ["tools: copy (requested)"]);
        let force = ProvisionOptions { force: true, with: vec!["spark".to_owned()], ..ProvisionOptions::default() };
        assert_eq!(lines(&specs, "", &force), ["spark: unpack (requested)", "spark: service (requested)"]);
        let skip = ProvisionOptions { skip: true, ..ProvisionOptions::default() };
        assert!(lines(&specs, "unpack", &skip).is_empty());
    }
}
