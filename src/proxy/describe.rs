//! A document with addresses on its way to the client, held until they are corrected: the description of a service, or a list of
//! files.

use std::borrow::Cow;
use std::io::{Read, Write};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderValue, Method, StatusCode, Version, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

use crate::route::{self, DocumentKind, Target};

/// What is done with the body of an answer.
#[derive(Debug, Default)]
pub(super) enum Description {
    /// It passes.
    #[default]
    None,
    /// One was asked for, and may have up to this many bytes.
    Asked(u64, DocumentKind),
    /// It is held.
    Held(Held),
}

/// What is held of a document.
#[derive(Debug)]
pub(super) struct Held {
    /// Of the document, and of what is decoded from it.
    limit: u64,
    kind: DocumentKind,
    coding: Coding,
    bytes: BytesMut,
}

/// How a document is compressed (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    None,
    Gzip,
    /// In zlib's frame, as the standard says.
    Deflate,
}

/// What to do with a part of the body.
pub(super) enum Part {
    /// It passes as it is.
    Passes,
    /// It is held.
    Held,
    /// All of it is there, to be corrected.
    Whole(Held),
    /// It is too long; what was held goes on its way.
    TooLong(BytesMut),
}

impl Description {
    /// Looks whether a request asks for such a document, and then asks for all of it, not compressed.
    pub(super) fn ask(limit: u64, request: &mut RequestHeader) -> Result<Self> {
        let is_read = [Method::GET, Method::HEAD].contains(&request.method);
        let Ok(target) = Target::parse(request.raw_path()) else { return Ok(Self::None) };
        let kind = match is_read {
            true if route::is_description(target.path(), target.query()) => DocumentKind::Service,
            false if LISTING.contains(&request.method.as_str()) => DocumentKind::Files,
            _ => return Ok(Self::None),
        };
        for name in [header::RANGE, header::IF_RANGE] {
            request.remove_header(&name);
        }
        request.insert_header(header::ACCEPT_ENCODING, "identity")?;
        Ok(Self::Asked(limit, kind))
    }

    /// Looks whether the answer can be corrected, and takes away what would not be true of it any more. Its length is known
    /// only at its end.
    pub(super) fn begin(&mut self, client: &RequestHeader, response: &mut ResponseHeader) -> Result<()> {
        let Self::Asked(limit, kind) = *self else { return Ok(()) };
        *self = Self::None;
        let text = |name| response.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // Some servers compress whatever is asked for.
        let coding = text(header::CONTENT_ENCODING).map_or(Some(Coding::None), Coding::parse);
        let is_short = text(header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .is_none_or(|length: u64| length <= limit);
        let is_xml = text(header::CONTENT_TYPE).is_some_and(route::is_xml);
        let expected = match kind {
            DocumentKind::Service => StatusCode::OK,
            DocumentKind::Files => StatusCode::MULTI_STATUS,
        };
        let (Some(coding), true) = (coding, response.status == expected && is_short && is_xml) else { return Ok(()) };
        for name in ["content-length", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"] {
            response.remove_header(name);
        }
        if client.method == Method::HEAD {
            return Ok(());
        }
        *self = Self::Held(Held { limit, kind, coding, bytes: BytesMut::new() });
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
        let Self::Held(held) = self else { return Part::Passes };
        held.bytes.extend_from_slice(part.map(|part| &part[..]).unwrap_or_default());
        let is_too_long = held.bytes.len() as u64 > held.limit;
        if !is_end && !is_too_long {
            return Part::Held;
        }
        match std::mem::take(self) {
            Self::Held(held) if is_too_long => Part::TooLong(held.bytes),
            Self::Held(held) => Part::Whole(held),
            Self::None | Self::Asked(..) => Part::Passes,
        }
    }
}

impl Held {
    /// With its addresses corrected by `url`, compressed as it came; `None` where it stays as it is.
    pub(super) fn corrected(&self, url: impl Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
        let document = self.coding.decode(&self.bytes, self.limit)?;
        self.coding.encode(route::rewrite(&document, self.kind, url)?)
    }

    /// As it came.
    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }
}

impl Coding {
    /// `None` for one that is not known, or several.
    fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "identity" => Some(Self::None),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// At most `limit` bytes; `None` when it is more, or broken.
    fn decode(self, bytes: &[u8], limit: u64) -> Option<Cow<'_, [u8]>> {
        let mut decoded = Vec::new();
        let read = match self {
            Self::None => return Some(Cow::Borrowed(bytes)),
            Self::Gzip => MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut decoded),
            Self::Deflate => ZlibDecoder::new(bytes).take(limit + 1).read_to_end(&mut decoded),
        };
        (read.ok()? as u64 <= limit).then_some(Cow::Owned(decoded))
    }

    fn encode(self, document: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(document),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&document).ok()?;
                encoder.finish().ok()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&document).ok()?;
                encoder.finish().ok()
            }
        }
    }
}

/// Methods of WebDAV that are answered with a list of files (RFC 4918 §9, RFC 3253 §3.6, RFC 5323).
const LISTING: [&str; 8] = ["PROPFIND", "PROPPATCH", "REPORT", "SEARCH", "COPY", "MOVE", "DELETE", "LOCK"];

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
            ("PROPFIND", "/files/", true),
            ("LOCK", "/files/a", true),
            ("PUT", "/files/a", false),
        ] {
            let mut request = request(method, target);
            let asked = Description::ask(9, &mut request).unwrap();
            assert_eq!(matches!(asked, Description::Asked(9, _)), expected, "{method} {target}");
            assert_eq!(request.headers.contains_key("range"), !expected, "{method} {target}");
            assert_eq!(request.headers["accept-encoding"] == "identity", expected, "{method} {target}");
        }
    }

    #[test]
    fn given_one_thing_wrong_with_an_answer_when_it_begins_then_it_passes() {
        const XML: (&str, &str) = ("content-type", "text/xml");
        #[rustfmt::skip]
        let table: [(&[(&str, &str)], bool); 8] = [
            (&[XML, ("content-length", "9"), ("content-md5", "x")], true),
            (&[XML],                                                true),
            (&[XML, ("content-length", "10")],                      false),
            (&[XML, ("content-encoding", "br")],                    false),
            (&[XML, ("content-encoding", "gzip, gzip")],            false),
            (&[("content-type", "application/json")],               false),
            (&[("content-type", "text/html")],                      false),
            (&[],                                                   false),
        ];
        for (fields, expected) in table {
            let (mut description, mut response) = (Description::Asked(9, DocumentKind::Service), response(fields));
            description.begin(&request("GET", "/a?wsdl"), &mut response).unwrap();
            assert_eq!(description.is_held(), expected, "{fields:?}");
            assert_eq!(response.headers.contains_key("transfer-encoding"), expected, "{fields:?}");
            let kept = fields.iter().all(|(name, _)| response.headers.contains_key(*name));
            assert_eq!(kept, !expected || fields.len() == 1, "{fields:?}");
        }
    }

    #[test]
    fn given_a_list_of_files_when_it_begins_then_held_with_its_own_status_only() {
        for (status, expected) in [(207, true), (200, false), (404, false)] {
            let mut response = response(&[("content-type", "application/xml; charset=\"utf-8\"")]);
            response.set_status(status).unwrap();
            let mut description = Description::Asked(9, DocumentKind::Files);
            description.begin(&request("PROPFIND", "/"), &mut response).unwrap();
            assert_eq!(description.is_held(), expected, "{status}");
        }
    }

    #[test]
    fn given_a_body_in_parts_when_held_then_whole_at_its_end_or_let_go_when_too_long() {
        let part = Bytes::from_static(b"12345");
        let held = |limit, coding| {
            Description::Held(Held { limit, kind: DocumentKind::Service, coding, bytes: BytesMut::new() })
        };
        let mut short = held(9, Coding::None);
        assert!(matches!(short.take(Some(&part), false), Part::Held));
        assert!(matches!(short.take(None, true), Part::Whole(whole) if whole.bytes == part));
        assert!(matches!(short.take(Some(&part), true), Part::Passes));

        let mut long = held(9, Coding::None);
        assert!(matches!(long.take(Some(&part), false), Part::Held));
        assert!(matches!(long.take(Some(&part), false), Part::TooLong(held) if held.len() == 10));
        assert!(matches!(long.take(Some(&part), false), Part::Passes));
    }

    #[test]
    fn given_a_compressed_document_when_corrected_then_compressed_again_and_bombs_and_noise_stay() {
        const SENT: &[u8] = b"<address location=\"http://in/a\"/>";
        let url = |url: &str| url.strip_prefix("http://in/").map(|rest| format!("https://m5.test/{rest}"));
        let held = |coding, bytes: &[u8]| Held { limit: 100, kind: DocumentKind::Service, coding, bytes: bytes.into() };
        for coding in [Coding::None, Coding::Gzip, Coding::Deflate] {
            let sent = coding.encode(SENT.to_vec()).unwrap();
            let better = held(coding, &sent).corrected(url).unwrap();
            assert_eq!(&*coding.decode(&better, 100).unwrap(), b"<address location=\"https://m5.test/a\"/>");

            let bomb = coding.encode([SENT, &[b' '; 100_000]].concat()).unwrap();
            assert!(coding == Coding::None || held(coding, &bomb).corrected(url).is_none(), "{coding:?}");
        }
        assert_eq!(held(Coding::Gzip, SENT).corrected(url), None);
        assert_eq!(held(Coding::Deflate, &[0x78]).corrected(url), None);
    }
}
