//! A description of a service on its way to the client, held until its addresses are corrected.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, Version, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

use crate::route::{self, Target};

/// What is done with the body of an answer.
#[derive(Debug, Default)]
pub(super) enum Description {
    /// It passes.
    #[default]
    None,
    /// A description was asked for, and may have up to this many bytes.
    Asked(u64),
    /// It is held.
    Held(u64, BytesMut),
}

/// What to do with a part of the body.
pub(super) enum Part {
    /// It passes as it is.
    Passes,
    /// It is held.
    Held,
    /// All of it is there, to be corrected.
    Whole(BytesMut),
    /// It is too long; what was held goes on its way.
    TooLong(BytesMut),
}

impl Description {
    /// Looks whether a request asks for a description, and then asks for all of it, not compressed.
    pub(super) fn ask(limit: u64, request: &mut RequestHeader) -> Result<Self> {
        let is_read = [Method::GET, Method::HEAD].contains(&request.method);
        let Ok(target) = Target::parse(request.raw_path()) else { return Ok(Self::None) };
        if !is_read || !route::is_description(target.path(), target.query()) {
            return Ok(Self::None);
        }
        for name in [header::RANGE, header::IF_RANGE] {
            request.remove_header(&name);
        }
        request.insert_header(header::ACCEPT_ENCODING, "identity")?;
        Ok(Self::Asked(limit))
    }

    /// Looks whether the answer can be corrected, and takes away what would not be true of it any more. Its length is known
    /// only at its end.
    pub(super) fn begin(&mut self, client: &RequestHeader, response: &mut ResponseHeader) -> Result<()> {
        let Self::Asked(limit) = *self else { return Ok(()) };
        *self = Self::None;
        let text = |name| response.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_plain = text(header::CONTENT_ENCODING).is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
        let is_short = text(header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .is_none_or(|length: u64| length <= limit);
        let is_xml = text(header::CONTENT_TYPE).is_some_and(route::is_xml);
        if response.status != StatusCode::OK || !is_plain || !is_short || !is_xml {
            return Ok(());
        }
        for name in ["content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"] {
            response.remove_header(name);
        }
        if client.method == Method::HEAD {
            return Ok(());
        }
        *self = Self::Held(limit, BytesMut::new());
        match client.version {
            Version::HTTP_2 => Ok(()),
            // The end of the connection ends the body (RFC 9112 §6.3).
            Version::HTTP_10 => {
                response.remove_header(&header::TRANSFER_ENCODING);
                Ok(())
            }
            _ => response.insert_header(header::TRANSFER_ENCODING, "chunked"),
        }
    }

    /// Whether the body is held.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held(..))
    }

    /// Takes in a part of the body.
    pub(super) fn take(&mut self, part: Option<&Bytes>, is_end: bool) -> Part {
        let Self::Held(limit, held) = self else { return Part::Passes };
        held.extend_from_slice(part.map(|part| &part[..]).unwrap_or_default());
        let is_too_long = u64::try_from(held.len()).is_ok_and(|length| length > *limit);
        if !is_end && !is_too_long {
            return Part::Held;
        }
        let held = std::mem::take(held);
        *self = Self::None;
        if is_too_long { Part::TooLong(held) } else { Part::Whole(held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str) -> RequestHeader {
        let mut request = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        request.insert_header("accept-encoding", "gzip, br").unwrap();
        request.insert_header("range", "bytes=0-1").unwrap();
        request
    }

    fn response(fields: &[(&'static str, &'static str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).unwrap();
        fields.iter().for_each(|(name, value)| response.insert_header(*name, *value).unwrap());
        response
    }

    #[test]
    fn given_requests_when_asked_then_descriptions_are_wanted_whole_and_the_rest_is_untouched() {
        for (method, target, expected) in [
            ("GET", "/a.asmx?wsdl", true),
            ("HEAD", "/a.asmx?wsdl", true),
            ("POST", "/a.asmx?wsdl", false),
            ("GET", "/", false),
        ] {
            let mut request = request(method, target);
            let asked = Description::ask(9, &mut request).unwrap();
            assert_eq!(matches!(asked, Description::Asked(9)), expected, "{method} {target}");
            assert_eq!(request.headers.contains_key("range"), !expected, "{method} {target}");
            assert_eq!(request.headers["accept-encoding"] == "identity", expected, "{method} {target}");
        }
    }

    #[test]
    fn given_one_thing_wrong_with_an_answer_when_it_begins_then_it_passes() {
        const XML: (&str, &str) = ("content-type", "text/xml");
        #[rustfmt::skip]
        let table: [(&[(&str, &str)], bool); 6] = [
            (&[XML, ("content-length", "9"), ("content-md5", "x")], true),
            (&[XML],                                                true),
            (&[XML, ("content-length", "10")],                      false),
            (&[XML, ("content-encoding", "gzip")],                  false),
            (&[("content-type", "text/html")],                      false),
            (&[],                                                   false),
        ];
        for (fields, expected) in table {
            let (mut description, mut response) = (Description::Asked(9), response(fields));
            description.begin(&request("GET", "/a?wsdl"), &mut response).unwrap();
            assert_eq!(matches!(description, Description::Held(..)), expected, "{fields:?}");
            assert_eq!(response.headers.contains_key("transfer-encoding"), expected, "{fields:?}");
            let kept = fields.iter().all(|(name, _)| response.headers.contains_key(*name));
            assert_eq!(kept, !expected || fields.len() == 1, "{fields:?}");
        }
    }

    #[test]
    fn given_a_body_in_parts_when_held_then_whole_at_its_end_or_let_go_when_too_long() {
        let part = Bytes::from_static(b"12345");
        let mut held = Description::Held(9, BytesMut::new());
        assert!(matches!(held.take(Some(&part), false), Part::Held));
        assert!(matches!(held.take(None, true), Part::Whole(whole) if whole == part));
        assert!(matches!(held.take(Some(&part), true), Part::Passes));

        let mut long = Description::Held(9, BytesMut::new());
        assert!(matches!(long.take(Some(&part), false), Part::Held));
        assert!(matches!(long.take(Some(&part), false), Part::TooLong(held) if held.len() == 10));
        assert!(matches!(long.take(Some(&part), false), Part::Passes));
    }
}
