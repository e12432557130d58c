//! Passwords that stand where they must not: a message shows their line, but never them.

use std::borrow::Cow;

/// The text with every password in it overwritten by as many asterisks, so that places in it stay true.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(equals) = text[at..].find('=').map(|found| at + found) {
        at = equals + 1;
        let Some((start, end)) = string_after(text, at) else { continue };
        let value = &text[start..end];
        at = end;
        if is_secret(key_before(text, equals)) && !is_variable(value) {
            masked.to_mut().replace_range(start..end, &"*".repeat(value.len()));
        }
    }
    masked
}

/// Whether a string as written holds a `${NAME}`.
pub(super) fn is_variable(written: &str) -> bool {
    written.replace("$${", "").contains("${")
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("pass") && !key.ends_with("file")
}

fn key_before(text: &str, equals: usize) -> &str {
    let before = text[..equals].trim_end().trim_end_matches(['"', '\'']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    before.rfind(|c| !is_part(c)).map_or(before, |last| &before[last..]).trim_start_matches(|c| !is_part(c))
}

/// What lies between the quotes of the string that begins at `at`; up to the end of the line where it is not closed.
fn string_after(text: &str, at: usize) -> Option<(usize, usize)> {
    let quoted = text[at..].trim_start_matches([' ', '\t']);
    let begin = text.len() - quoted.len();
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| quoted.starts_with(quote))?;
    let start = begin + quote.len();
    let mut end = start;
    while !text[end..].starts_with(quote) {
        let mut rest = text[end..].chars();
        let next = rest.next().filter(|c| *c != '\n' || quote.len() == 3);
        let escaped = if next == Some('\\') && quote.starts_with('"') { rest.next() } else { None };
        match next {
            Some(next) => end += next.len_utf8() + escaped.map_or(0, char::len_utf8),
            None => break,
        }
    }
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_one_line_when_masked_then_passwords_and_nothing_else() {
        for (line, expected) in [
            ("password = \"hunter2\"", "password = \"*******\""),
            ("a = { password='hunter2', key = 'k' }", "a = { password='*******', key = 'k' }"),
            ("passphrase = \"\"\"a\nb\"\"\" x", "passphrase = \"\"\"***\"\"\" x"),
            ("\"Passwd\" = \"a\\\"b\" # 'c'", "\"Passwd\" = \"****\" # 'c'"),
            ("password = \"never closed\nkey = 'k'", "password = \"************\nkey = 'k'"),
            ("password = \"ö\"", "password = \"**\""),
            ("password = \"${NAME}\"", "password = \"${NAME}\""),
            ("password = \"$${NAME}\"", "password = \"********\""),
            ("password_file = \"f\"", "password_file = \"f\""),
            ("path = '/password='", "path = '/password='"),
            ("password = 7", "password = 7"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_masked_then_as_long_as_before(text in "([a-z]{0,3}|password|[ ='\"\\\\\n$\\{ö]){0,20}") {
            prop_assert_eq!(masked(&text).len(), text.len());
        }
    }
}
