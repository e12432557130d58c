//! Descriptions of services, WSDL and DISCO, and the addresses in them.
//!
//! # Why
//!
//! Servers write the address into them by which they believe to have been asked, and programs that are made from a
//! description call that address: past TLS, or nowhere. The document is not built anew: a scanner finds the addresses, and
//! every other byte stays.

use std::ops::Range;

/// Whether a request asks for a description: `/Door.asmx?wsdl`, `/Door.svc?singleWsdl`, `/Door.svc?xsd=xsd0`, `/a.wsdl`.
pub fn is_description(path: &[u8], query: Option<&[u8]>) -> bool {
    let key = query.unwrap_or_default().split(|byte| matches!(byte, b'=' | b'&')).next().unwrap_or_default();
    let is_asked = QUERIES.iter().any(|known| key.eq_ignore_ascii_case(known));
    let ends = |end: &&[u8]| path.len() > end.len() && path[path.len() - end.len()..].eq_ignore_ascii_case(end);
    is_asked || ENDS.iter().any(ends)
}

/// Whether `Content-Type` is a text of XML (RFC 7303 §4.2) in an encoding that begins as ASCII does.
pub fn is_xml(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset =
        parts.find_map(|part| part.get(..8).filter(|name| name.eq_ignore_ascii_case("charset=")).map(|_| &part[8..]));
    let charset = charset.unwrap_or_default().trim_matches('"').to_ascii_lowercase();
    let is_wide = charset.starts_with("utf-16") || charset.starts_with("utf-32") || charset.starts_with("ucs-");
    (matches!(&*kind, "text/xml" | "application/xml") || kind.ends_with("+xml") && kind.contains('/')) && !is_wide
}

/// What a document of XML is about, and so where its addresses stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A service: WSDL, DISCO, a schema.
    Service,
    /// Files: `DAV:multistatus` (RFC 4918 §13), whose `href` is an address.
    Files,
}

/// A document with its addresses corrected by `url`; `None` where nothing changes, or it is no XML that can be read.
pub fn rewrite(document: &[u8], kind: Kind, url: impl Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    if document.contains(&0) {
        return None;
    }
    let mut better = Vec::with_capacity(document.len() + 256);
    let mut copied = 0;
    for place in addresses(document, kind)? {
        let Ok(old) = std::str::from_utf8(&document[place.clone()]) else { continue };
        let Some(new) = url(old).filter(|new| is_as_harmless(old, new)) else { continue };
        better.extend_from_slice(&document[copied..place.start]);
        better.extend_from_slice(new.as_bytes());
        copied = place.end;
    }
    if copied == 0 {
        return None;
    }
    better.extend_from_slice(&document[copied..]);
    Some(better)
}

/// What was added has no character that XML knows a meaning of.
fn is_as_harmless(old: &str, new: &str) -> bool {
    let count = |text: &str, mark: char| text.matches(mark).count();
    ['<', '&', '"', '\''].into_iter().all(|mark| count(old, mark) == count(new, mark))
}

/// Where addresses stand, in their order; `None` for a document that is broken, or that declares entities.
fn addresses(document: &[u8], kind: Kind) -> Option<Vec<Range<usize>>> {
    let (mut places, mut at) = (Vec::new(), 0);
    while let Some(open) = find(document, at, b"<") {
        let rest = &document[open..];
        let skipped = SKIPPED.iter().find(|(begin, _)| rest.starts_with(begin));
        at = match skipped {
            Some((begin, end)) => find(document, open + begin.len(), end)? + end.len(),
            None if rest.starts_with(b"<!") => {
                let end = find(document, open, b">")?;
                if document[open..end].contains(&b'[') {
                    return None;
                }
                end + 1
            }
            None if rest.starts_with(b"</") => find(document, open, b">")? + 1,
            None => element(document, open + 1, kind, &mut places)?,
        };
    }
    Some(places)
}

/// Reads a start tag whose name begins at `at`; gives where it ends.
fn element(document: &[u8], at: usize, kind: Kind, places: &mut Vec<Range<usize>>) -> Option<usize> {
    let mut end = at + document[at..].iter().position(|byte| is_space(byte) || matches!(byte, b'/' | b'>'))?;
    let name = local(&document[at..end]);
    loop {
        end += document[end..].iter().position(|byte| !is_space(byte))?;
        match document[end] {
            b'>' => break,
            b'/' => {
                end += 1;
                continue;
            }
            _ => {}
        }
        let equals = end + document[end..].iter().position(|byte| matches!(byte, b'=' | b'>' | b'<'))?;
        if document[equals] != b'=' {
            return None;
        }
        let attribute = local(document[end..equals].trim_ascii());
        let open = equals + 1 + document[equals + 1..].iter().position(|byte| !is_space(byte))?;
        let quote = Some(document[open]).filter(|quote| matches!(quote, b'"' | b'\''))?;
        let close = open + 1 + document[open + 1..].iter().position(|byte| *byte == quote)?;
        if kind == Kind::Service && ADDRESSES.contains(&(name, attribute)) {
            places.push(open + 1..close);
        }
        end = close + 1;
    }
    let is_empty = document[end - 1] == b'/';
    if name == kind.address() && !is_empty {
        let text = &document[end + 1..find(document, end, b"<")?];
        let begin = end + 1 + (text.len() - text.trim_ascii_start().len());
        places.push(begin..begin + text.trim_ascii().len());
    }
    Some(end + 1)
}

fn find(document: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = document.get(from..)?;
    match what {
        [byte] => rest.iter().position(|known| known == byte).map(|at| from + at),
        _ => rest.windows(what.len()).position(|window| window == what).map(|at| from + at),
    }
}

/// A name without its prefix.
fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| *byte == b':').next().unwrap_or_default()
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What ASMX and WCF take for a question about the service itself.
const QUERIES: [&[u8]; 5] = [b"wsdl", b"singlewsdl", b"disco", b"xsd", b"schema"];
const ENDS: [&[u8]; 4] = [b".wsdl", b".disco", b".vsdisco", b".xsd"];

/// What a scanner passes over, and how it ends.
const SKIPPED: [(&[u8], &[u8]); 3] = [(b"<!--", b"-->"), (b"<![CDATA[", b"]]>"), (b"<?", b"?>")];

/// Elements and attributes: WSDL 1.1 §3.8 and §4.4, XML Schema §4.2, DISCO.
const ADDRESSES: [(&[u8], &[u8]); 9] = [
    (b"address", b"location"),
    (b"import", b"location"),
    (b"import", b"schemaLocation"),
    (b"include", b"schemaLocation"),
    (b"contractRef", b"ref"),
    (b"contractRef", b"docRef"),
    (b"discoveryRef", b"ref"),
    (b"schemaRef", b"ref"),
    (b"soap", b"address"),
];

impl Kind {
    /// The element whose text is an address (WS-Addressing 1.0 §2.1, RFC 4918 §14.7).
    fn address(self) -> &'static [u8] {
        match self {
            Self::Service => b"Address",
            Self::Files => b"href",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(document: &str) -> Option<String> {
        let url = |url: &str| url.strip_prefix("http://in/").map(|rest| format!("https://m5.test/{rest}"));
        rewrite(document.as_bytes(), Kind::Service, url).map(|document| String::from_utf8(document).unwrap())
    }

    #[test]
    fn given_a_description_when_rewritten_then_its_addresses_alone_change() {
        #[rustfmt::skip]
        let table = [
            (r#"<soap:address location="http://in/a?b&amp;c" />"#, Some(r#"<soap:address location="https://m5.test/a?b&amp;c" />"#)),
            ("<address\r\n\tlocation = 'http://in/a'></address>",  Some("<address\r\n\tlocation = 'https://m5.test/a'></address>")),
            (r#"<soap address="http://in/a" binding="http://in/b"/>"#, Some(r#"<soap address="https://m5.test/a" binding="http://in/b"/>"#)),
            (r#"<contractRef ref="http://in/a" docRef="http://in/b"/>"#, Some(r#"<contractRef ref="https://m5.test/a" docRef="https://m5.test/b"/>"#)),
            (r#"<xsd:import schemaLocation="http://in/x" namespace="http://in/"/>"#, Some(r#"<xsd:import schemaLocation="https://m5.test/x" namespace="http://in/"/>"#)),
            ("<w:Address> http://in/a\n</w:Address>",             Some("<w:Address> https://m5.test/a\n</w:Address>")),
            (r#"<a x="<>"/><address location="http://in/a"/>"#,    Some(r#"<a x="<>"/><address location="https://m5.test/a"/>"#)),
            (r#"<!-- <address location="http://in/a"/> -->"#,      None),
            (r#"<![CDATA[<address location="http://in/a"/>]]>"#,   None),
            (r#"<?x <address location="http://in/a"/>?>"#,         None),
            (r#"<!DOCTYPE a [<!ENTITY b "c">]><address location="http://in/a"/>"#, None),
            (r#"<address location="http://in/a""#,                 None),
            (r#"<address location=http://in/a />"#,                None),
            (r#"<addresses location="http://in/a"/>"#,             None),
            (r#"<t>http://in/a</t>"#,                              None),
            (r#"<address location="http://out/a"/>"#,              None),
            ("<Address/><t>http://in/a</t>",                       None),
            ("",                                                   None),
        ];
        for (document, expected) in table {
            assert_eq!(rewritten(document).as_deref(), expected, "{document}");
        }
    }

    #[test]
    fn given_files_when_rewritten_then_the_text_of_href_alone() {
        let document = "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>http://in/a%20b</D:href><D:Address>http://in/</D:Address>\
                        <x location=\"http://in/\"/></D:response><D:href/></D:multistatus>";
        let url = |url: &str| url.strip_prefix("http://in/").map(|rest| format!("https://m5.test/{rest}"));
        let better = rewrite(document.as_bytes(), Kind::Files, url).unwrap();
        assert_eq!(
            String::from_utf8(better).unwrap(),
            document.replace("<D:href>http://in/", "<D:href>https://m5.test/")
        );
    }

    #[test]
    fn given_a_new_address_with_marks_of_xml_when_rewritten_then_nothing_changes() {
        let document = br#"<address location="http://in/a"/>"#;
        assert_eq!(rewrite(document, Kind::Service, |_| Some("https://m5.test/'/a".to_owned())), None);
        assert_eq!(rewrite(&[document.as_slice(), &[0]].concat(), Kind::Service, |_| Some(String::new())), None);
        assert_eq!(rewrite(b"<address location=\"\xff\"/>", Kind::Service, |_| Some(String::new())), None);
    }

    #[test]
    fn given_a_request_when_asked_then_those_for_descriptions_only() {
        for (target, expected) in [
            ("/Door.asmx?WSDL", true),
            ("/Door.asmx?wsdl=1", true),
            ("/Door.svc?singleWsdl&x", true),
            ("/Door.svc?xsd=xsd0", true),
            ("/Door.asmx?disco", true),
            ("/api/door.WSDL", true),
            ("/.wsdl", true),
            ("/Door.asmx", false),
            ("/Door.asmx?x=wsdl", false),
            ("/Door.asmx?wsdls", false),
            ("/wsdl", false),
            ("/Door.asmx?", false),
        ] {
            let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
            assert_eq!(is_description(path.as_bytes(), query.map(str::as_bytes)), expected, "{target}");
        }
    }

    #[test]
    fn given_a_content_type_when_asked_then_xml_in_a_narrow_encoding() {
        for (content_type, expected) in [
            ("text/xml; charset=utf-8", true),
            ("Application/XML", true),
            ("application/wsdl+xml", true),
            ("text/xml; charset=\"UTF-16\"", false),
            ("text/html", false),
            ("text/xmlish", false),
            ("+xml", false),
            ("", false),
        ] {
            assert_eq!(is_xml(content_type), expected, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_rewritten_then_no_panic_and_what_is_no_address_stays(
            document in "(<|>|/|=|\"|'| |!--|-->|address|location|Address|http://in/|\\?|\\[|a){0,30}", noise: Vec<u8>,
        ) {
            rewrite(&noise, Kind::Files, |_| Some("x".to_owned()));
            let marked = rewrite(document.as_bytes(), Kind::Service, |_| Some("\u{1}".to_owned()));
            if let Some(marked) = marked {
                let places = addresses(document.as_bytes(), Kind::Service).unwrap();
                let mut at = 0;
                let mut expected = Vec::new();
                for place in places {
                    expected.extend_from_slice(&document.as_bytes()[at..place.start]);
                    let is_harmless = is_as_harmless(&document[place.clone()], "\u{1}");
                    let old = &document.as_bytes()[place.clone()];
                    expected.extend_from_slice(if is_harmless { b"\x01" } else { old });
                    at = place.end;
                }
                expected.extend_from_slice(&document.as_bytes()[at..]);
                prop_assert_eq!(marked, expected);
            }
        }
    }
}
