//! What a path is for.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rig_model::{DriftClass, DriftRule};

/// What paths are for when the file says nothing else; the first pattern that fits counts. The places are those of the
/// Filesystem Hierarchy Standard 3.0, the rest is what services on them are known to write.
const PATTERNS: [(DriftClass, &[&str]); 9] = [
    (DriftClass::Temporary, &["/tmp/**", "/var/tmp/**", "/run/**", "/var/run/**", "/dev/**"]),
    (DriftClass::Log, &["/var/log/**"]),
    (
        DriftClass::Cache,
        &[
            "/var/cache/**",
            "**/.cache/**",
            "**/__pycache__/**",
            "**/*.pyc",
            "/var/lib/apt/lists/**",
            "/etc/ld.so.cache",
        ],
    ),
    (DriftClass::Configuration, &["/usr/local/etc/**"]),
    // What lies among programs is one, whatever it is called; and what a package manager knows of programs changes with them.
    (
        DriftClass::Program,
        &[
            "/usr/**",
            "/bin/**",
            "/sbin/**",
            "/lib/**",
            "/lib32/**",
            "/lib64/**",
            "/libx32/**",
            "/boot/**",
            "/var/lib/dpkg/**",
            "/var/lib/apt/**",
            "/var/lib/rpm/**",
        ],
    ),
    (
        DriftClass::Temporary,
        // The last two: what an init notes about its services, and a JVM about itself.
        &["**/*.pid", "**/*.sock", "**/*.swp", "**/supervise/**", "**/hsperfdata_*/**"],
    ),
    (DriftClass::Log, &["**/*.log", "**/*.log.[0-9]*", "**/logs/**"]),
    (
        DriftClass::Configuration,
        &[
            "/etc/**",
            "**/conf/**",
            "**/.ssh/**",
            "**/*.conf",
            "**/*.cfg",
            "**/*.ini",
            "**/*.yaml",
            "**/*.yml",
            "**/*.toml",
            "**/*.properties",
            "**/*.env",
        ],
    ),
    (DriftClass::Program, &["/opt/**"]),
];

/// Decides what paths are for: by the file's rules, then by its volumes, then by where things usually are.
#[derive(Debug)]
pub struct Classifier {
    patterns: GlobSet,
    /// Class, or ignored, of each pattern; the first that fits counts.
    classes: Vec<Option<DriftClass>>,
}

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {why}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Classifier {
    /// A classifier with a machine's own rules, the later ones first, and the folders of its volumes.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn new<'a>(rules: &[DriftRule], volumes: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut all = Patterns { set: GlobSetBuilder::new(), classes: Vec::new() };
        for rule in rules.iter().rev() {
            all.add(&rule.pattern, rule.class)?;
        }
        for volume in volumes {
            all.add(&format!("{}/**", globset::escape(volume.trim_end_matches('/'))), Some(DriftClass::State))?;
        }
        for (class, patterns) in PATTERNS {
            for pattern in patterns {
                all.add(pattern, Some(class))?;
            }
        }
        let patterns = all.set.build();
        let patterns = patterns
            .map_err(|error| PatternError { pattern: "all of them".to_owned(), why: error.kind().to_string() })?;
        Ok(Self { patterns, classes: all.classes })
    }

    /// What a path is for; `None` when it is to be ignored.
    #[must_use]
    pub fn class(&self, path: &str) -> Option<DriftClass> {
        let first = self.patterns.matches(path).into_iter().min();
        first.map_or(Some(DriftClass::State), |first| self.classes[first])
    }
}

struct Patterns {
    set: GlobSetBuilder,
    classes: Vec<Option<DriftClass>>,
}

impl Patterns {
    /// Adds what a pattern means: the path, and, when it names all that is in a folder, the folder itself.
    fn add(&mut self, pattern: &str, class: Option<DriftClass>) -> Result<(), PatternError> {
        let folder = pattern.strip_suffix("/**").filter(|folder| !folder.is_empty());
        for pattern in [Some(pattern), folder].into_iter().flatten() {
            // Otherwise `*` would go on into folders, and Windows would read patterns differently.
            let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
            let glob =
                glob.map_err(|error| PatternError { pattern: pattern.to_owned(), why: error.kind().to_string() })?;
            self.set.add(glob);
            self.classes.push(class);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_model::Origin;

    #[test]
    fn usual_places_are_known() {
        let classifier = Classifier::new(&[], ["/var/lib/cassandra"]).unwrap();
        for (path, class) in [
            ("/etc/passwd", DriftClass::Configuration),
            ("/etc/s6/spark/supervise/status", DriftClass::Temporary),
            ("/opt/spark/conf/spark-env.sh", DriftClass::Configuration),
            ("/opt/spark/jars/a.jar", DriftClass::Program),
            ("/opt/spark/logs/out", DriftClass::Log),
            ("/usr/bin/java", DriftClass::Program),
            ("/usr/lib/python3/__pycache__/os.pyc", DriftClass::Cache),
            ("/var/cache/apt/pkgcache.bin", DriftClass::Cache),
            ("/var/cache", DriftClass::Cache),
            ("/var/lib/dpkg/status", DriftClass::Program),
            ("/var/lib/cassandra/data/x.db", DriftClass::State),
            ("/var/lib/cassandra/conf/x.yaml", DriftClass::State),
            ("/home/rig/.ssh/authorized_keys", DriftClass::Configuration),
            ("/srv/index.html", DriftClass::State),
            ("/usr/lib/x/logs/backdoor", DriftClass::Program),
            ("/opt/app/Gemfile.lock", DriftClass::Program),
            ("/tmp/x", DriftClass::Temporary),
        ] {
            assert_eq!(classifier.class(path), Some(class), "{path}");
        }
    }

    #[test]
    fn the_files_own_rules_come_first_and_the_last_one_counts() {
        let rule = |pattern: &str, class| DriftRule { pattern: pattern.to_owned(), class, origin: Origin::default() };
        let rules = [
            rule("/opt/app/**", Some(DriftClass::Cache)),
            rule("/opt/app/keep", Some(DriftClass::State)),
            rule("/srv/**", None),
        ];
        let classifier = Classifier::new(&rules, []).unwrap();
        assert_eq!(classifier.class("/opt/app/x"), Some(DriftClass::Cache));
        assert_eq!(classifier.class("/opt/app/keep"), Some(DriftClass::State));
        assert_eq!(classifier.class("/srv/a/b"), None);
        assert_eq!(classifier.class("/srv"), None);
        let one = Classifier::new(&[rule("/etc/*.conf", None)], []).unwrap();
        assert_eq!(one.class("/etc/a.conf"), None);
        assert_eq!(one.class("/etc/inner/a.conf"), Some(DriftClass::Configuration), "`*` is a part of one name");
        let error = Classifier::new(&[rule("/a/[", None)], []).unwrap_err();
        assert!(error.to_string().contains("is no pattern"), "{error}");
    }
}
