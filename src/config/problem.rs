//! What is wrong, where, why, and how to mend it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::code::Code;
use super::render;
use super::secret::{without_userinfo, without_userinfo_in_one};

/// A text that was read: a file, or the command line.
#[derive(Debug)]
pub struct Source {
    /// Position among the sources that are read together.
    pub(super) order: usize,
    /// As the operator would write it.
    pub(super) name: String,
    /// All of it.
    pub(super) text: String,
}

/// A stretch of a [`Source`].
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Place {
    /// The place, moved into the text and onto character borders where it is not.
    pub(super) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let start = source.text.floor_char_boundary(span.start);
        let end = source.text.floor_char_boundary(span.end.max(start));
        Self { source: source.clone(), span: start..end }
    }

    /// Name of the file, as the operator would write it.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Line, from 1.
    pub fn line(&self) -> usize {
        1 + self.before().matches('\n').count()
    }

    /// Column in characters, from 1.
    pub fn column(&self) -> usize {
        let line = self.before().rsplit('\n').next().unwrap_or_default();
        1 + line.chars().count()
    }

    /// The bytes it covers.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What is written there.
    pub(super) fn text(&self) -> &str {
        &self.source.text[self.span.clone()]
    }

    /// The line that it begins on.
    pub(super) fn line_text(&self) -> &str {
        self.source.text.lines().nth(self.line() - 1).unwrap_or_default().trim()
    }

    /// Whether `other` lies inside of it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        let is_inside = self.span.start <= other.span.start && other.span.end <= self.span.end;
        self.source.order == other.source.order && is_inside
    }

    /// A stretch of the same source.
    pub(super) fn narrowed(&self, span: Range<usize>) -> Self {
        Self::new(&self.source, span)
    }

    /// The source that it lies in.
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    fn before(&self) -> &str {
        &self.source.text[..self.span.start]
    }
}

/// Whether portvakt can run all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong. No word of it repeats the user of a URL, or his password.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, with the value in question.
    pub title: String,
    /// Where; nowhere when a file could not be read at all.
    pub place: Option<Place>,
    /// Stands beside the carets.
    pub label: String,
    /// A second place that belongs to it, and what it is.
    pub related: Option<(Place, String)>,
    /// Reasons.
    pub why: Vec<String>,
    /// Remedies.
    pub fix: Vec<String>,
}

impl Problem {
    /// An error.
    pub(super) fn error(code: Code, title: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, title.into())
    }

    /// A warning.
    pub(super) fn warning(code: Code, title: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, title.into())
    }

    fn new(code: Code, severity: Severity, title: String) -> Self {
        let title = without_userinfo(&title);
        let (why, fix) = (Vec::new(), Vec::new());
        Self { code, severity, title, place: None, label: String::new(), related: None, why, fix }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = without_userinfo(&label.into());
        self
    }

    pub(super) fn related(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.related = Some((place.clone(), without_userinfo(&label.into())));
        self
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(without_userinfo(&why.into()));
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(without_userinfo(&fix.into()));
        self
    }

    fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.source.order, place.span.start))
    }
}

impl fmt::Display for Problem {
    /// One line, for a log: `PV0204: unknown certificate source ... (portvakt.toml:9:15)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.title)?;
        match &self.place {
            Some(place) => write!(f, " ({}:{}:{})", place.file(), place.line(), place.column()),
            None => Ok(()),
        }
    }
}

/// Whether a printed problem uses colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// ANSI colours, for a terminal.
    Color,
}

/// Everything that is wrong with a configuration, by file and position. `Display` prints it in [`Style::Plain`].
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds all of them.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// These and those, in the order of the files.
    pub fn with(mut self, others: Self) -> Self {
        self.extend(others);
        self.sort();
        self
    }

    /// Puts them into the order of the files; what has no place comes first.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(Problem::position);
    }

    /// Keeps those that `keep` says.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Problem) -> bool) {
        self.0.retain(keep);
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Something is so wrong that portvakt cannot run.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Such as `2 errors, 1 warning`; `no problems` when there are none.
    pub fn summary(&self) -> String {
        let counts = [Severity::Error, Severity::Warning].map(|severity| (self.count(severity), severity.word()));
        let parts: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") }
    }

    /// For people: every problem with its line of text, then the [`summary`](Self::summary). Ends with a line break.
    pub fn render(&self, style: Style) -> String {
        render::text(self, style)
    }

    /// For tools: one JSON object a line, with `code`, `severity`, `title`, `file`, `line`, `column`, `label`, `why`,
    /// `fix`. Lines and columns count from 1; what does not apply is `null` or empty.
    pub fn to_json_lines(&self) -> String {
        render::json_lines(self)
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|problem| problem.severity == severity).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A value of the operator between backticks: users of URLs masked, control characters escaped, and not longer than a line.
pub(super) fn quoted(value: &str) -> String {
    if value.is_empty() {
        return "the empty string".to_owned();
    }
    let value = without_userinfo_in_one(value);
    let mut shown: String = value.chars().take(LONGEST_QUOTE).flat_map(escape).collect();
    if value.chars().nth(LONGEST_QUOTE).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

fn escape(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
}

/// `a`, `b` and `c`, each between backticks.
pub(super) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| quoted(word.as_ref())).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "none".to_owned(),
    }
}

/// A value longer than this says no more.
const LONGEST_QUOTE: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, span: Range<usize>) -> Place {
        Place::new(&Arc::new(Source { order: 0, name: "portvakt.toml".to_owned(), text: text.to_owned() }), span)
    }

    #[test]
    fn given_a_span_when_located_then_line_and_column_count_characters_from_one() {
        let place = place("a = 1\nå = \"x\"\n", 11..14);
        assert_eq!((place.line(), place.column(), place.text()), (2, 5, "\"x\""));
    }

    #[test]
    fn given_a_span_off_the_text_when_made_then_moved_into_it() {
        assert_eq!(place("å", 1..9).span(), 0..2);
        assert_eq!(place("", 3..9).span(), 0..0);
    }

    #[test]
    fn given_problems_when_summed_up_then_counted_by_severity() {
        let mut problems = Problems::default();
        assert_eq!(problems.summary(), "no problems");
        problems.push(Problem::warning(Code::NoIpv6, "w"));
        assert_eq!(problems.summary(), "1 warning");
        problems.push(Problem::error(Code::Syntax, "e"));
        problems.push(Problem::error(Code::Syntax, "e"));
        assert_eq!(problems.summary(), "2 errors, 1 warning");
    }

    #[test]
    fn given_control_characters_when_quoted_then_escaped() {
        assert_eq!(quoted("a\u{1b}[31mb\nå"), "`a\\u{1b}[31mb\\nå`");
        assert_eq!(quoted(&"x".repeat(100)).len(), LONGEST_QUOTE + 5);
    }
}
