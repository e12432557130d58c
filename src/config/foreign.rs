//! Files of other programs and formats, recognised at their first line.
//!
//! A parser of TOML would find fault with every line of them, and none of that would help.

use std::sync::Arc;

use super::code::Code;
use super::problem::{Place, Problem, Source};

/// Says what a text is that is surely no TOML.
pub(super) fn recognise(source: &Arc<Source>) -> Option<Problem> {
    let text = source.text.trim_start_matches('\u{feff}');
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let format = format_of(line, text)?;
    let at = source.text.find(line)?;
    let problem = Problem::error(Code::Syntax, format!("this is {format}, not TOML"));
    let place = Place::new(source, at..at + line.len());
    Some(problem.at(&place).why("a configuration of portvakt is written in TOML, https://toml.io").fix(BEGINNING))
}

fn format_of(line: &str, text: &str) -> Option<&'static str> {
    let has_assignments = text.contains('=');
    match line {
        _ if line.starts_with('{') && text.contains("\":") => Some("JSON"),
        _ if line.starts_with("[{") || line == "[" => Some("JSON"),
        _ if line.starts_with('<') => Some("XML, or the configuration of Apache"),
        _ if line.starts_with("---") || line.starts_with("%YAML") => Some("YAML"),
        _ if line.contains('=') || line.starts_with(['[', '"', '\'']) => None,
        _ if line.ends_with('{') || line.ends_with(';') => {
            Some("the configuration of another server, such as nginx or Caddy")
        }
        "global" | "defaults" => Some("the configuration of HAProxy"),
        _ if is_yaml(line) && !has_assignments => Some("YAML"),
        _ if !has_assignments => Some("a text in which no line is `key = value`"),
        _ => None,
    }
}

/// `key:` or `key: value`.
fn is_yaml(line: &str) -> bool {
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    line.split_once(':').is_some_and(|(key, rest)| is_key(key) && (rest.is_empty() || rest.starts_with(' ')))
}

const BEGINNING: &str = "begin with these lines; `portvakt init` prints them with comments\n\
                         acme = { agree_tos = true }\n\
                         [[site]]\n\
                         domain   = \"app.example.com\"\n\
                         upstream = \"http://127.0.0.1:8080\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(text: &str) -> Option<String> {
        let source = Source { order: 0, name: "portvakt.toml".to_owned(), text: text.to_owned() };
        recognise(&Arc::new(source)).map(|problem| problem.title)
    }

    #[test]
    fn given_texts_of_other_programs_when_read_then_named() {
        for (text, format) in [
            ("{\n  \"acme\": {}\n}", "JSON"),
            ("\u{feff}[{ \"domain\": 1 }]", "JSON"),
            ("<VirtualHost *:443>", "XML"),
            ("# a\n\n---\nacme:", "YAML"),
            ("site:\n  - domain: a", "YAML"),
            ("drain: 30s", "YAML"),
            ("server {\n listen 443 ssl;\n}", "nginx"),
            ("user www-data;\nhttp {}", "nginx"),
            ("{\n email a@b.c\n}\na.example {\n}", "Caddy"),
            ("global\n  maxconn 10", "HAProxy"),
            ("a.example\nreverse_proxy :8080", "no line is"),
        ] {
            assert!(recognised(text).is_some_and(|title| title.contains(format)), "{text}");
        }
    }

    #[test]
    fn given_toml_when_read_then_left_to_its_parser_slips_included() {
        for text in [
            "",
            "# only a comment",
            "[acme]",
            "[[site]]",
            "a = {\n}",
            "\"a\" = 1",
            "drain: 30s\nwatch = true",
            "watch\ndrain = \"30s\"",
            "[ acme ]\n{ x",
        ] {
            assert_eq!(recognised(text), None, "{text}");
        }
    }
}
