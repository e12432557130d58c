//! Who is told.

use serde::Deserialize;

use super::dated;
use super::verdict::Paint;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Notifier {
    name: String,
    to: String,
    last_delivery: Option<String>,
    last_error: Option<NotifierFailure>,
    waiting: u64,
    next_try: Option<String>,
}

/// A message that was not taken.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NotifierFailure {
    at: String,
    error: String,
    fix: String,
}

impl Notifier {
    pub(super) fn write(&self, out: &mut dyn std::fmt::Write, paint: Paint, now: &str) -> std::fmt::Result {
        let state = match &self.last_error {
            None => paint.good("good"),
            Some(_) => paint.bad("not taken"),
        };
        writeln!(out, "\nnotifier {} ({}): {state}", self.name, self.to)?;
        let delivery = self.last_delivery.as_deref().map_or_else(|| "none yet".to_owned(), |at| dated(at, now));
        writeln!(out, "  last taken   {delivery}")?;
        if self.waiting > 0 {
            let next = self.next_try.as_deref().map(|at| format!(", tried again {}", dated(at, now)));
            writeln!(out, "  waiting      {}{}", self.waiting, next.unwrap_or_default())?;
        }
        let Some(failure) = &self.last_error else { return Ok(()) };
        writeln!(out, "  last error   {}: {}", dated(&failure.at, now), paint.bad(&failure.error))?;
        writeln!(out, "  fix          {}", failure.fix)
    }
}
