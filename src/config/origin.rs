//! Where a value of the configuration comes from.

use std::fmt;

use super::problem::Place;

/// Where a value comes from. Its `Display` is the remark beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Nobody set it, and its default follows from something else, such as "the first domain".
    Follows(&'static str),
    /// An environment variable that is looked at when the key is not set.
    Variable(&'static str),
    /// The command line.
    CommandLine,
    /// It is written in a file.
    File {
        /// As the operator would write it.
        name: String,
        /// From 1.
        line: usize,
        /// It holds `${NAME}`, so that the environment had a say.
        has_variable: bool,
    },
}

impl Origin {
    pub(super) fn of(place: &Place) -> Self {
        if place.file() == COMMAND_LINE {
            return Self::CommandLine;
        }
        let has_variable = place.text().replace("$${", "").contains("${");
        Self::File { name: place.file().to_owned(), line: place.line(), has_variable }
    }

    /// In one word, for programs: `default`, `environment`, `command_line` or `file`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default | Self::Follows(_) => "default",
            Self::Variable(_) => "environment",
            Self::CommandLine => "command_line",
            Self::File { .. } => "file",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Follows(from) => write!(f, "default: {from}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
            Self::File { name, line, has_variable: false } => write!(f, "{name}:{line}"),
            Self::File { name, line, has_variable: true } => write!(f, "{name}:{line}, with an environment variable"),
        }
    }
}

/// The name of the source that the command line is read as.
pub(super) const COMMAND_LINE: &str = "<command line>";
