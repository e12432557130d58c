//! What somebody has to do, before everything else.

use std::fmt::Write;

use serde::Deserialize;

/// Something that is wrong, as the status page judges it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    level: String,
    about: String,
    what: String,
    why: Option<String>,
    fix: String,
    detail: Option<String>,
    remedy: Option<String>,
    code: Option<String>,
}

/// As the status page begins; nothing of a process that does not judge yet.
pub(super) fn write(out: &mut String, ok: Option<bool>, problems: &[Problem], paint: Paint) -> std::fmt::Result {
    let Some(is_well) = ok else { return Ok(()) };
    let needs = problems.iter().filter(|problem| problem.level != "wait").count();
    let verdict = match (is_well, needs) {
        (true, _) => paint.good("all is well"),
        (false, 0) => paint.bad("no new connections are accepted"),
        (false, 1) => paint.bad("1 thing needs you"),
        (false, count) => paint.bad(&format!("{count} things need you")),
    };
    writeln!(out, "{verdict}")?;
    problems.iter().try_for_each(|problem| problem.write(out, paint))?;
    if problems.is_empty() { Ok(()) } else { writeln!(out) }
}

impl Problem {
    fn write(&self, out: &mut String, paint: Paint) -> std::fmt::Result {
        let level = match self.level.as_str() {
            "broken" => paint.bad("broken now"),
            "wait" => "being done".to_owned(),
            _ => paint.bad("mend soon"),
        };
        let about = if self.about.is_empty() { "configuration" } else { &self.about };
        let why = self.why.as_deref().map(|why| format!(". {why}")).unwrap_or_default();
        writeln!(out, "\n{level}: {about}\n  what         {}{why}\n  do this      {}", self.what, self.fix)?;
        for words in [&self.detail, &self.remedy].into_iter().flatten() {
            writeln!(out, "  in detail    {}", words.trim_end().replace('\n', "\n               "))?;
        }
        match &self.code {
            Some(code) => writeln!(out, "  more         portvakt help {code}"),
            None => Ok(()),
        }
    }
}

/// Colours, where there is a terminal.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, color: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::status::Status;

    #[test]
    fn given_a_judgement_when_written_then_it_comes_first() {
        let status = |value| serde_json::from_value::<Status>(value).unwrap().to_text(false);
        assert!(status(serde_json::json!({ "ok": true })).starts_with("all is well\nportvakt "));
        let text = status(serde_json::json!({ "ok": false, "host": "door", "problems": [
            { "level": "broken", "about": "m5", "what": "it has expired", "why": "no way in", "fix": "open port 80",
                "detail": "refused\nhard", "code": "PV0431" },
            { "level": "wait", "about": "m6", "what": "on its way", "fix": "nothing to do" },
        ] }));
        let expected = "1 thing needs you\n\nbroken now: m5\n  what         it has expired. no way in\n  do this      open port 80\n  \
            in detail    refused\n               hard\n  more         portvakt help PV0431\n\nbeing done: m6\n  what         on its \
            way\n  do this      nothing to do\n\nportvakt  on door, up 0s\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(status(serde_json::json!({})).starts_with("portvakt "), "an older process does not judge");
    }
}
