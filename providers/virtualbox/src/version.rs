//! VirtualBox's versions, and what differs between them.

/// The oldest that is driven.
pub(crate) const OLDEST: Version = Version(7, 0, 0);

/// Major, minor, build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// `7.2.22` of `7.2.22_Debianr175245`; warnings of an installation may stand before it.
    pub(crate) fn read(said: &str) -> Option<Self> {
        said.lines().rev().find_map(|line| {
            let number = line.trim().split(['_', 'r']).next()?;
            let mut parts = number.split('.').map(|part| part.parse::<u32>().ok());
            Some(Self(parts.next()??, parts.next()??, parts.next()??))
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(Version::read("7.2.22_Debianr175245\n"), Some(Version(7, 2, 22)));
        assert_eq!(Version::read("7.0.8r156879"), Some(Version(7, 0, 8)));
        let warned = "WARNING: The character device /dev/vboxdrv does not exist.\n\t Please install\n7.1.4r165100\n";
        assert_eq!(Version::read(warned), Some(Version(7, 1, 4)));
        assert_eq!(Version::read("nothing"), None);
        assert!(Version(6, 1, 50) < OLDEST && Version(7, 0, 0) >= OLDEST);
    }
}
