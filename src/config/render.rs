//! Problems as people and tools read them.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::json;

use super::problem::{Place, Problem, Problems, Severity, Style};
use super::secret::{masked, without_userinfo};

pub(super) fn text(problems: &Problems, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Color => Renderer::styled(),
    };
    let mut out = String::new();
    for problem in problems {
        out.push_str(&renderer.render(&[group(problem)]));
        out.push_str("\n\n");
    }
    out.push_str(&problems.summary());
    out.push('\n');
    out
}

pub(super) fn json_lines(problems: &Problems) -> String {
    problems.iter().map(|problem| format!("{}\n", json_object(problem))).collect()
}

fn group(problem: &Problem) -> Group<'_> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.title.as_str()).id(problem.code.to_string());
    let mut group = Group::with_title(title).elements(snippets(problem));
    for why in &problem.why {
        group = group.element(Level::NOTE.with_name("why").message(normalize_untrusted_str(why)));
    }
    for fix in &problem.fix {
        group = group.element(Level::HELP.with_name("fix").message(lines_normalized(fix)));
    }
    group
}

/// The places of a problem: two annotations when they lie in one file, two snippets otherwise.
fn snippets(problem: &Problem) -> Vec<Snippet<'_, Annotation<'_>>> {
    let Some(place) = &problem.place else { return Vec::new() };
    let first = snippet(place).annotation(annotation(AnnotationKind::Primary, place, &problem.label));
    let Some((other, label)) = &problem.related else { return vec![first] };
    let second = annotation(AnnotationKind::Context, other, label);
    if other.source().order == place.source().order {
        return vec![first.annotation(second)];
    }
    vec![first, snippet(other).annotation(second)]
}

fn snippet(place: &Place) -> Snippet<'_, Annotation<'_>> {
    Snippet::source(without_userinfo(&masked(&place.source().text))).path(place.file())
}

fn annotation<'a>(kind: AnnotationKind, place: &Place, label: &str) -> Annotation<'a> {
    let label = (!label.is_empty()).then(|| normalize_untrusted_str(label));
    kind.span(place.span()).label(label)
}

/// A remedy may have several lines; only its line breaks are kept.
fn lines_normalized(text: &str) -> String {
    text.lines().map(normalize_untrusted_str).collect::<Vec<_>>().join("\n")
}

fn json_object(problem: &Problem) -> serde_json::Value {
    let place = problem.place.as_ref();
    json!({
        "code": problem.code.to_string(),
        "severity": problem.severity.word(),
        "title": problem.title,
        "file": place.map(Place::file),
        "line": place.map(Place::line),
        "column": place.map(Place::column),
        "label": problem.label,
        "why": problem.why,
        "fix": problem.fix,
    })
}
