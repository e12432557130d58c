//! Passwords that stand where they must not, users and passwords in URLs among them: a message shows their line, but
//! never them.

use std::borrow::Cow;
use std::ops::Range;

/// The text with every password in it overwritten by as many asterisks, so that places in it stay true.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(equals) = text[at..].find('=').map(|found| at + found) {
        at = equals + 1;
        let Some((start, end)) = string_after(text, at) else { continue };
        let value = &text[start..end];
        at = end;
        let key = key_before(text, equals);
        if is_variable(value) {
            continue;
        }
        if is_secret(key) || is_mac_key(key, &text[..equals]) {
            masked.to_mut().replace_range(start..end, &"*".repeat(value.len()));
        } else if let Some(path) = path_of_hook(key, &text[..equals], value) {
            masked.to_mut().replace_range(start + path..end, &"*".repeat(value.len() - path));
        }
    }
    masked
}

/// The text with asterisks in place of what stands before the `@` of a URL (RFC 3986 §3.2.1); every byte keeps its place.
///
/// Broken URLs are taken for URLs too: what is refused for its form is shown, and may hold a password all the same.
pub(super) fn without_userinfo(text: &str) -> String {
    strings(text).map(without_userinfo_in_one).collect()
}

/// Does what [`without_userinfo`] does with a text that is one string, so that no quote in it means anything.
pub(super) fn without_userinfo_in_one(string: &str) -> String {
    let mut shown = string.to_owned();
    if let Some(userinfo) = userinfo(string) {
        let asterisks = "*".repeat(userinfo.len());
        shown.replace_range(userinfo, &asterisks);
    }
    shown
}

/// The text cut at its quotes and at the ends of its lines.
fn strings(text: &str) -> impl Iterator<Item = &str> {
    let (mut open, mut is_escaped) = (None, false);
    text.split_inclusive(move |c| {
        let is_border = c == '\n' || open.map_or_else(|| "\"'`".contains(c), |quote| c == quote);
        let is_end = is_border && !is_escaped;
        is_escaped = c == '\\' && open == Some('"') && !is_escaped;
        if is_end {
            open = (open.is_none() && c != '\n').then_some(c);
        }
        is_end
    })
}

fn userinfo(string: &str) -> Option<Range<usize>> {
    let end = string.rfind('@')?;
    let before = &string[..end];
    if let Some(at) = before.find("://") {
        return Some(at + "://".len()..end);
    }
    let word = before.rsplit(char::is_whitespace).next()?;
    let (scheme, userinfo) = word.split_once(':')?;
    (!scheme.eq_ignore_ascii_case("mailto")).then(|| end - userinfo.len()..end)
}

/// Whether a string as written holds a `${NAME}`.
pub(super) fn is_variable(written: &str) -> bool {
    written.replace("$${", "").contains("${")
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    (key.contains("pass") && !key.ends_with("file") && key != "proxy_pass") || matches!(&*key, "secret" | "token")
}

/// Whether a `key` belongs to `eab`, the only table where it is not a file.
fn is_mac_key(key: &str, before: &str) -> bool {
    let line = before.lines().next_back().unwrap_or_default();
    let heading = before.lines().rev().find(|line| line.trim_start().starts_with('[')).unwrap_or_default();
    key == "key" && (line.contains("eab") || heading.contains("eab"))
}

/// Where the path begins in the URL of a webhook, which may be all that guards it.
fn path_of_hook(key: &str, before: &str, value: &str) -> Option<usize> {
    let line = before.lines().next_back().unwrap_or_default();
    let heading = before.lines().rev().find(|line| line.trim_start().starts_with('[')).unwrap_or_default();
    let is_hook = key == "webhook" || (key == "url" && (line.contains("webhook") || heading.contains("webhook")));
    let host = value.find("://").filter(|_| is_hook)? + "://".len();
    Some(host + value[host..].find('/')? + 1)
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
            ("eab = { kid = \"k\", key = \"hunter2\" }", "eab = { kid = \"k\", key = \"*******\" }"),
            ("[acme.eab]\nkid = \"k\"\nkey = 'hunter2'", "[acme.eab]\nkid = \"k\"\nkey = '*******'"),
            ("eab = { key = \"${NAME}\", key_file = \"f\" }", "eab = { key = \"${NAME}\", key_file = \"f\" }"),
            ("password_file = \"f\"", "password_file = \"f\""),
            ("proxy_pass = 'http://a'", "proxy_pass = 'http://a'"),
            ("path = '/password='", "path = '/password='"),
            ("password = 7", "password = 7"),
            ("token = 'hunter2'", "token = '*******'"),
            ("token_file = 'a'", "token_file = 'a'"),
            ("webhook = 'https://a.b/c/d'", "webhook = 'https://a.b/***'"),
            (
                "webhook = { url = 'https://a.b/c', token_file = 'd/e' }",
                "webhook = { url = 'https://a.b/*', token_file = 'd/e' }",
            ),
            ("[notify.webhook]\nurl = 'https://a.b/c'", "[notify.webhook]\nurl = 'https://a.b/*'"),
            ("webhook = 'https://a.b'", "webhook = 'https://a.b'"),
            ("webhook = '${HOOK}'", "webhook = '${HOOK}'"),
            ("upstream = { url = 'https://a.b/c' }", "upstream = { url = 'https://a.b/c' }"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn given_urls_when_shown_then_nothing_of_a_user_or_password() {
        for (text, shown) in [
            ("http://user:geheim@a/b", "http://***********@a/b"),
            ("x = \"https://s@a\" # http://a", "x = \"https://*@a\" # http://a"),
            ("[\"http://a\", \"http://u:p@b\"]", "[\"http://a\", \"http://***@b\"]"),
            ("http://u:p@ss@a", "http://******@a"),
            ("http://u:p/w#s? @a", "http://*********@a"),
            ("'http://u:\"x@a' \"http://u:\\\"y@b\"", "'http://****@a' \"http://*****@b\""),
            ("# user:geheim@a", "# user:******@a"),
            ("http:/u:p@a", "http:****@a"),
            ("ops@example.com, \"mailto:ops@example.com\"", "ops@example.com, \"mailto:ops@example.com\""),
            ("a = \"http://a\"\nb = \"c@d\"", "a = \"http://a\"\nb = \"c@d\""),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
        assert_eq!(without_userinfo_in_one("http://u:\"\n'`p@a"), "http://*******@a");
    }

    proptest! {
        #[test]
        fn given_any_text_when_shown_without_users_then_as_long_as_before(text in "([a-z]{0,3}|://|[:@ ='\"\\\\\n`ö]){0,20}") {
            prop_assert_eq!(without_userinfo(&text).len(), text.len());
        }

        #[test]
        fn given_any_password_in_a_url_when_shown_then_it_is_not(password in "[a-z@:/?#\\[\\]ö]{0,9}GEHEIM") {
            let shown = without_userinfo(&format!("upstream = \"http://user:{password}@host\""));
            prop_assert!(!shown.contains("GEHEIM"), "{shown}");
        }

        #[test]
        fn given_any_text_when_masked_then_as_long_as_before(text in "([a-z]{0,3}|password|[ ='\"\\\\\n$\\{ö]){0,20}") {
            prop_assert_eq!(masked(&text).len(), text.len());
        }
    }
}
