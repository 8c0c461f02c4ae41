//! A step with every value decided.

use crate::{Contents, Facts, RecipeError, template};
use rig_model::{
    Content, Digest, Field, FileSource, IpOf, MachineId, ResolvedStep, Rights, Script, ServiceSpec, StepKind, StepSpec,
    Text, Work,
};
use std::collections::BTreeMap;

/// Installs packages with the machine's package manager.
const PACKAGES: &str = include_str!("../scripts/packages.sh");

/// Installs a service with the machine's init.
const SERVICE: &str = include_str!("../scripts/service.sh");

/// What reads scripts that do not say what reads them: every machine has it, and a failing command ends the script.
const SHELL: [&str; 2] = ["/bin/sh", "-eu"];

/// Decides every value of a step. Pure: contents were read before.
///
/// # Errors
/// When a template names what it is not given, or an address is not known.
pub fn resolve(
    step: &StepSpec,
    machine: &MachineId,
    facts: &Facts,
    contents: &Contents,
    ip: IpOf<'_>,
) -> Result<ResolvedStep, RecipeError> {
    let resolver = Resolver { step, machine, facts, contents, ip };
    let (fields, work) = match &step.kind {
        StepKind::Shell { script, args, env, interpreter, privileged, reboot } => {
            let bytes = match script {
                Script::Inline(text) => resolver.text(text)?.into_bytes(),
                Script::Path(path) => resolver.content(path)?.to_vec(),
            };
            let args = args.iter().map(|arg| resolver.text(arg)).collect::<Result<Vec<_>, _>>()?;
            let env = resolver.texts(env)?;
            let mut fields = vec![hashed("script", &Digest::of(&bytes))];
            fields.extend(numbered("arg", &args));
            fields.extend(sealed(&env));
            if !interpreter.is_empty() {
                fields.push(field("interpreter", interpreter.join(" ")));
            }
            if !privileged {
                fields.push(field("privileged", "no"));
            }
            if *reboot {
                fields.push(field("reboot", "yes"));
            }
            let interpreter = reader(interpreter, &bytes);
            (fields, resolver.shell(bytes, args, env, interpreter, *privileged, *reboot))
        }
        StepKind::File { source, target, rights } => {
            let (digest, content) = match source {
                FileSource::Path(path) => {
                    let listing = contents.listing(path).cloned().ok_or_else(|| resolver.unread(path))?;
                    (listing.digest(), Content::Path { path: contents.absolute(path), listing })
                }
                FileSource::Artifact(artifact) => (artifact.sha256.clone(), Content::Artifact(artifact.clone())),
            };
            put(&digest, content, target, rights)
        }
        StepKind::Template { source, target, rights, values } => {
            let mut given = BTreeMap::new();
            for (name, value) in step.parameters.iter().chain(values) {
                // Names of Jinja hold no hyphens.
                given.insert(name.replace('-', "_"), resolver.text(value)?);
            }
            let text = template::render(source, resolver.content(source)?, facts, &given)?;
            put(&Digest::of(text.as_bytes()), Content::Bytes(text.into_bytes()), target, rights)
        }
        StepKind::Packages { names } => {
            let fields = vec![field("packages", names.join(" "))];
            let script = PACKAGES.as_bytes().to_vec();
            (fields, resolver.shell(script, names.clone(), BTreeMap::new(), shell(), true, false))
        }
        StepKind::Service(service) => resolver.service(service)?,
    };
    Ok(ResolvedStep { id: step.id.clone(), timeout: step.timeout, fields, work, origin: step.origin.clone() })
}

struct Resolver<'a> {
    step: &'a StepSpec,
    machine: &'a MachineId,
    facts: &'a Facts,
    contents: &'a Contents,
    ip: IpOf<'a>,
}

impl Resolver<'_> {
    fn text(&self, text: &Text) -> Result<String, RecipeError> {
        text.resolve(self.ip).ok_or_else(|| RecipeError::Unresolved {
            machine: self.machine.clone(),
            step: self.step.id.clone(),
            origin: self.step.origin.clone(),
        })
    }

    fn texts<'t>(
        &self,
        texts: impl IntoIterator<Item = (&'t String, &'t Text)>,
    ) -> Result<BTreeMap<String, String>, RecipeError> {
        texts.into_iter().map(|(name, text)| Ok((name.clone(), self.text(text)?))).collect()
    }

    fn content(&self, path: &str) -> Result<&[u8], RecipeError> {
        self.contents.get(path).ok_or_else(|| self.unread(path))
    }

    /// Contents are loaded for the machines that steps are resolved for; this is for callers that mix them up.
    fn unread(&self, path: &str) -> RecipeError {
        RecipeError::Unreadable { origin: self.step.origin.clone(), why: format!("{path} was not read") }
    }

    fn shell(
        &self,
        script: Vec<u8>,
        args: Vec<String>,
        mut env: BTreeMap<String, String>,
        interpreter: Vec<String>,
        privileged: bool,
        reboot: bool,
    ) -> Work {
        for (name, value) in self.facts.variables() {
            env.entry(name).or_insert(value);
        }
        Work::Shell { script, args, env, interpreter, privileged, reboot }
    }

    fn service(&self, service: &ServiceSpec) -> Result<(Vec<Field>, Work), RecipeError> {
        let user = service.user.clone().unwrap_or_else(|| "root".to_owned());
        let command = service.command.iter().map(|word| self.text(word)).collect::<Result<Vec<_>, _>>()?;
        let env = self.texts(&service.env)?;
        let mut fields = vec![field("user", &user)];
        fields.extend(numbered("command", &command));
        fields.extend(sealed(&env));
        let lines = env.iter().map(|(name, value)| format!("{name}={}\n", quote(value))).collect();
        let variables = BTreeMap::from([("RIG_SERVICE_ENV".to_owned(), lines)]);
        let args = [service.name.clone(), user].into_iter().chain(command).collect();
        Ok((fields, self.shell(SERVICE.as_bytes().to_vec(), args, variables, shell(), true, false)))
    }
}

fn put(digest: &Digest, content: Content, target: &str, rights: &Rights) -> (Vec<Field>, Work) {
    let mut fields = vec![hashed("content", digest), field("target", target)];
    fields.extend(rights.mode.map(|mode| field("mode", format!("{mode:04o}"))));
    fields.extend(rights.owner.as_ref().map(|owner| field("owner", owner)));
    (fields, Work::Put { content, target: target.to_owned(), rights: rights.clone() })
}

/// What reads a script: what the step names, else the script's own first line, else the shell.
fn reader(named: &[String], script: &[u8]) -> Vec<String> {
    if !named.is_empty() {
        return named.to_vec();
    }
    let first = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix("#!")) {
        // As the kernel does it: the program, and everything behind it as one argument.
        Some(line) => match line.trim().split_once(char::is_whitespace) {
            Some((program, argument)) => vec![program.to_owned(), argument.trim().to_owned()],
            None => vec![line.trim().to_owned()],
        },
        None => shell(),
    }
}

fn shell() -> Vec<String> {
    SHELL.map(str::to_owned).to_vec()
}

/// A word as it stands in a shell line.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn field(path: &str, value: impl std::fmt::Display) -> Field {
    Field { path: path.to_owned(), value: value.to_string() }
}

fn hashed(path: &str, digest: &Digest) -> Field {
    field(path, format!("sha256:{}", digest.short()))
}

fn numbered<'w>(path: &'w str, words: &'w [String]) -> impl Iterator<Item = Field> + 'w {
    words.iter().enumerate().map(move |(position, word)| field(&format!("{path}.{}", position + 1), word))
}

/// Variables of the environment; their values may be secret.
fn sealed(env: &BTreeMap<String, String>) -> impl Iterator<Item = Field> + '_ {
    env.iter().map(|(name, value)| field(&format!("env.{name}"), value).sealed())
}
