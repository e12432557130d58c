//! Why a command failed, and how that is told.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::app::{self, AppError};
use crate::config::{Problems, Style};

/// Why a command failed.
pub(super) enum Failure {
    App(AppError),
    Problems(Problems),
    /// Why and how to mend it stand on lines of their own.
    Plain {
        what: String,
        why: String,
        fix: String,
    },
    /// The command line makes no sense; one line, and what was meant.
    Usage(String),
    /// Printed already.
    Told,
}

impl Failure {
    /// Tells it on standard error, and gives the exit code.
    pub(super) fn print(&self) -> ExitCode {
        match self {
            Self::App(AppError::Config(problems)) | Self::Problems(problems) => print_problems(problems),
            Self::App(error) => eprint!("{}", app::describe(error)),
            Self::Plain { what, why, fix } => eprintln!("error: {what}\n  = why: {why}\n  = fix: {fix}"),
            Self::Usage(text) => {
                eprintln!("error: {text}");
                return ExitCode::from(2);
            }
            Self::Told => {}
        }
        ExitCode::FAILURE
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

/// Every problem, then the command that tells more about their codes.
pub(super) fn print_problems(problems: &Problems) {
    if problems.is_empty() {
        return;
    }
    let style = if std::io::stderr().is_terminal() { Style::Color } else { Style::Plain };
    eprintln!("{}more: {}", problems.render(style), way_to_pages(problems));
}

/// Each code once, in the order of the problems.
fn way_to_pages(problems: &Problems) -> String {
    let mut codes = Vec::new();
    for code in problems.iter().map(|problem| problem.code.to_string()) {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    format!("portvakt help {}", codes.join(" "))
}
