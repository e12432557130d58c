//! `${NAME}` in strings.

use super::code::Code;
use super::environment::Environment;
use super::problem::{Place, Problem, Problems, quoted};

/// Puts environment variables in. `$${` stands for a plain `${`.
pub(super) fn expand(text: &str, place: &Place, environment: &dyn Environment) -> (String, Problems) {
    let mut out = String::with_capacity(text.len());
    let mut problems = Problems::default();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let (name, tail) = match rest[at + 2..].split_once('}') {
            Some((name, tail)) if is_name(name) => (name, tail),
            _ => {
                problems.push(malformed(&rest[at..], place));
                return (text.to_owned(), problems);
            }
        };
        match environment.variable(name) {
            Some(value) => out.push_str(&value),
            None => problems.push(unset(name, place)),
        }
        rest = tail;
    }
    out.push_str(rest);
    (out, problems)
}

fn unset(name: &str, place: &Place) -> Problem {
    Problem::error(Code::UnsetVariable, format!("the environment variable {} is not set", quoted(name)))
        .at(&narrowed(place, &format!("${{{name}}}")))
        .label("not set")
        .fix(format!("set it where portvakt is started, such as `Environment={name}=...` in the systemd unit"))
        .fix(format!("or, if the text is meant as it stands, write `$${{{name}}}`"))
}

fn malformed(found: &str, place: &Place) -> Problem {
    Problem::error(Code::UnsetVariable, "`${` does not begin the name of a variable")
        .at(&narrowed(place, found))
        .why("`${NAME}` takes letters, digits and `_`, and is closed by `}`")
        .fix("write `${NAME}`, or `$${` for a plain `${`")
}

/// Where `found` is written inside of `place`, when it is written there letter by letter.
fn narrowed(place: &Place, found: &str) -> Place {
    let start = place.span().start;
    match place.text().find(found) {
        Some(at) => place.narrowed(start + at..start + at + found.len()),
        None => place.clone(),
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
