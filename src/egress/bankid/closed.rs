//! Versions of the interface that BankID has closed.

use std::str::FromStr;

use super::call::{Version, is_version};

/// A version that is not called any more: calls of it are answered here, since BankID's answer would not say why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedVersion {
    name: String,
    closed_on: Option<String>,
    instead: Option<String>,
}

impl ClosedVersion {
    /// Those that BankID has announced, from the data file beside this one.
    pub fn published() -> Vec<Self> {
        let lines = PUBLISHED.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(Self::from_line).collect()
    }

    /// As its path names it: `v5.1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The day on which production closed, `2024-09-30`, where it is known.
    pub fn closed_on(&self) -> Option<&str> {
        self.closed_on.as_deref()
    }

    /// What to call instead, where it is known.
    pub fn instead(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// Whether a request calls it.
    pub(super) fn is(&self, version: &Version) -> bool {
        version.as_str() == Some(self.name.as_str())
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let mut known = || words.next().filter(|word| *word != "-").map(ToOwned::to_owned);
        Some(Self { name, closed_on: known(), instead: known() })
    }
}

impl FromStr for ClosedVersion {
    type Err = VersionError;

    /// Reads an entry of `closed_versions`; what the data file knows of it is kept.
    fn from_str(name: &str) -> Result<Self, VersionError> {
        if !is_version(name) {
            return Err(VersionError);
        }
        let known = Self::published().into_iter().find(|version| version.name == name);
        Ok(known.unwrap_or_else(|| Self { name: name.to_owned(), closed_on: None, instead: None }))
    }
}

/// A text that is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no version; expected one as in a path, such as `v5.1`")]
pub struct VersionError;

const PUBLISHED: &str = include_str!("closed-versions.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_data_file_when_read_then_every_line_means_something() {
        let versions = ClosedVersion::published();

        let names: Vec<_> = versions.iter().map(ClosedVersion::name).collect();
        assert_eq!(names, ["v4", "v5", "v5.0", "v5.1"]);
        for version in &versions {
            assert!(is_version(version.name()), "{version:?}");
            assert!(
                version.instead().is_some_and(|instead| is_version(instead) && !names.contains(&instead)),
                "{version:?}"
            );
            let is_day =
                |day: &str| time::Date::parse(day, time::macros::format_description!("[year]-[month]-[day]")).is_ok();
            assert!(version.closed_on().is_none_or(is_day), "{version:?}");
            assert_eq!(version.name().parse(), Ok(version.clone()));
        }
    }

    #[test]
    fn given_an_entry_of_the_configuration_when_read_then_a_version_or_an_error() {
        let newer: ClosedVersion = "v6.0".parse().unwrap();
        assert_eq!((newer.name(), newer.closed_on(), newer.instead()), ("v6.0", None, None));
        for wrong in ["", "v", "6.0", "V5", "v5.", "v5.1.2", "v5/auth", " v5", "v5\n", "v1234"] {
            assert_eq!(wrong.parse::<ClosedVersion>(), Err(VersionError), "{wrong}");
        }
    }
}
