//! PEM text (RFC 7468), read as operators' files are: other text around, CRLF, a byte order mark, UTF-16 as Windows
//! writes it, indented lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One `BEGIN` … `END` block, good or broken.
pub(super) struct Block {
    /// The word after `BEGIN`, such as `CERTIFICATE`.
    pub(super) label: String,
    /// It has a header that says so (RFC 1421 §4.6.1.1).
    pub(super) is_encrypted: bool,
    /// The decoded bytes; of a key perhaps, so always zeroized.
    pub(super) body: Result<Zeroizing<Vec<u8>>, PemError>,
}

/// Reads all blocks in their order.
pub(super) fn blocks(text: &[u8]) -> Vec<Block> {
    let narrow = from_utf16(text);
    let text = narrow.as_ref().map_or(text, |narrow| narrow);
    let text = text.strip_prefix(UTF8_MARK).unwrap_or(text);
    let mut blocks = Vec::new();
    let mut open: Option<Open> = None;
    for (number, line) in lines(text) {
        if let Some(rest) = line.strip_prefix(b"-----BEGIN ") {
            blocks.extend(open.take().map(Open::cut_short));
            match rest.strip_suffix(b"-----") {
                Some(label) if !label.contains(&b'-') => open = Some(Open::new(label, number)),
                _ => blocks.push(Block::with_broken_begin(rest, number)),
            }
        } else if line.starts_with(b"-----END ") {
            blocks.extend(open.take().map(|open| open.end(line)));
        } else if let Some(open) = &mut open {
            open.take_line(line);
        }
    }
    blocks.extend(open.map(Open::cut_short));
    blocks
}

/// Writes one block, 64 characters to a line.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    // The whole size at once: growing would leave copies of a key behind.
    let mut pem = Zeroizing::new(String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 64));
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

/// Whether bytes are DER or BER and no text: a SEQUENCE that is longer than 127 bytes, of unknown length, or nothing but it.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, length, rest @ ..] if *length >= 0x80 || usize::from(*length) == rest.len())
}

/// Says what bytes are that hold no block of the wanted kind.
pub(super) fn describe(text: &[u8], blocks: &[Block]) -> String {
    if let Some(block) = blocks.first() {
        return format!("the text holds `{}`", block.label);
    }
    let guess = match text {
        [] => "the text is empty",
        _ if is_der(text) => "the bytes look like DER, expected PEM",
        _ if text.trim_ascii().is_empty() => "the text is empty",
        _ => "the text holds no PEM block",
    };
    guess.to_owned()
}

/// What is wrong with one block of PEM.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The text ends, or another block begins, before this one ended.
    #[error("the block that begins in line {line} has no `-----END {label}-----`; is the file cut short?")]
    NoEnd {
        /// What ought to end.
        label: String,
        /// Where it begins, counted from 1.
        line: usize,
    },
    /// `BEGIN` and more in one line.
    #[error("line {line} holds more than `-----BEGIN {label}-----`; were line breaks lost in copying?")]
    BrokenBegin {
        /// The word after `BEGIN`.
        label: String,
        /// Where, counted from 1.
        line: usize,
    },
    /// What stands between the lines cannot be decoded.
    #[error("the block that begins in line {line} is not base64: {reason}")]
    NotBase64 {
        /// Where the block begins, counted from 1.
        line: usize,
        /// The decoder's word.
        reason: base64::DecodeError,
    },
}

/// A block that has begun.
struct Open {
    label: String,
    line: usize,
    is_encrypted: bool,
    base64: Zeroizing<Vec<u8>>,
}

impl Open {
    fn new(label: &[u8], line: usize) -> Self {
        Self { label: readable(label), line, is_encrypted: false, base64: Zeroizing::default() }
    }

    fn take_line(&mut self, line: &[u8]) {
        if line.contains(&b':') {
            self.is_encrypted |= line.ends_with(b"ENCRYPTED");
            return;
        }
        // A block is rarely over 4 KiB; beyond that a grown buffer may leave a copy, which is the allocator's to reuse.
        if self.base64.capacity() == 0 {
            self.base64.reserve(4096);
        }
        self.base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }

    fn end(self, line: &[u8]) -> Block {
        let label = line.strip_prefix(b"-----END ").and_then(|rest| rest.strip_suffix(b"-----"));
        if label != Some(self.label.as_bytes()) {
            return self.cut_short();
        }
        // The body of an encrypted block begins after its headers and is of no use to us.
        let body = STANDARD
            .decode(&*self.base64)
            .map(Zeroizing::new)
            .map_err(|reason| PemError::NotBase64 { line: self.line, reason });
        Block { label: self.label, is_encrypted: self.is_encrypted, body }
    }

    fn cut_short(self) -> Block {
        let body = Err(PemError::NoEnd { label: self.label.clone(), line: self.line });
        Block { label: self.label, is_encrypted: self.is_encrypted, body }
    }
}

impl Block {
    fn with_broken_begin(rest: &[u8], line: usize) -> Self {
        let label = rest.split(|byte| *byte == b'-').next().unwrap_or_default();
        let label = readable(label);
        Self { label: label.clone(), is_encrypted: false, body: Err(PemError::BrokenBegin { label, line }) }
    }
}

/// UTF-16 with its byte order mark, which PowerShell's `>` writes, as bytes. PEM is ASCII; what else there is does not
/// matter. `None` for other texts.
fn from_utf16(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (unit, text): (fn([u8; 2]) -> u16, _) = match text {
        [0xff, 0xfe, text @ ..] => (u16::from_le_bytes, text),
        [0xfe, 0xff, text @ ..] => (u16::from_be_bytes, text),
        _ => return None,
    };
    let mut narrow = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let (units, _) = text.as_chunks::<2>();
    narrow.extend(units.iter().map(|bytes| u8::try_from(unit(*bytes)).unwrap_or(b'?')));
    Some(narrow)
}

/// Lines without their ends and indentation, numbered from 1.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let only_cr = !text.contains(&b'\n');
    text.split(move |byte| *byte == b'\n' || (only_cr && *byte == b'\r'))
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_ascii()))
}

/// A label fit for a message.
fn readable(label: &[u8]) -> String {
    String::from_utf8_lossy(label).chars().filter(|c| !c.is_control()).take(64).collect()
}

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bodies(text: &str) -> Vec<Vec<u8>> {
        blocks(text.as_bytes()).into_iter().filter_map(|block| block.body.ok()).map(|body| body.to_vec()).collect()
    }

    #[test]
    fn given_one_oddity_of_real_files_when_read_then_the_body_is_the_same() {
        let plain = "-----BEGIN X-----\nAQID\n-----END X-----\n".replace('X', "THING");
        let rows = [
            ("plain", plain.clone()),
            ("crlf", plain.replace('\n', "\r\n")),
            ("cr only", plain.replace('\n', "\r")),
            ("byte order mark", format!("\u{feff}{plain}")),
            ("text around", format!("subject=CN = a\n{plain}\ntrailing words")),
            ("indented", plain.lines().map(|line| format!("    {line}\n")).collect()),
            ("no last line end", plain.trim_end().to_owned()),
            ("blank lines", plain.replace('\n', "\n\n")),
        ];
        for (name, text) in rows {
            assert_eq!(bodies(&text), [vec![1, 2, 3]], "{name}");
        }
    }

    #[test]
    fn given_utf16_in_either_order_when_read_then_the_body_is_the_same() {
        let plain = "\u{feff}-----BEGIN A-----\r\nAQID\r\n-----END A-----\r\n";
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let text: Vec<u8> = plain.encode_utf16().flat_map(bytes).collect();
            assert_eq!(**blocks(&text)[0].body.as_ref().unwrap(), [1, 2, 3]);
        }
    }

    #[test]
    fn given_one_fault_when_read_then_it_is_named_with_its_line() {
        let rows = [
            ("\n-----BEGIN A-----\nAQID\n", PemError::NoEnd { label: "A".into(), line: 2 }),
            ("-----BEGIN A-----\nAQID\n-----END B-----\n", PemError::NoEnd { label: "A".into(), line: 1 }),
            ("-----BEGIN A-----AQID-----END A-----", PemError::BrokenBegin { label: "A".into(), line: 1 }),
        ];
        for (text, expected) in rows {
            let found = blocks(text.as_bytes()).pop().and_then(|block| block.body.err());
            assert_eq!(found, Some(expected), "{text}");
        }
        let broken = blocks(b"-----BEGIN A-----\nAQ!D\n-----END A-----\n").pop().and_then(|block| block.body.err());
        assert!(matches!(broken, Some(PemError::NotBase64 { line: 1, .. })));
    }

    #[test]
    fn given_a_block_without_end_when_another_begins_then_the_second_is_read() {
        let text = "-----BEGIN A-----\nAQ==\n-----BEGIN B-----\nAQID\n-----END B-----\n";
        assert_eq!(bodies(text), [vec![1, 2, 3]]);
    }

    #[test]
    fn given_bytes_without_blocks_when_described_then_says_what_they_look_like() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b" \n", "empty"),
            (b"\xff\xfe-\0", "no PEM block"),
            (b"\x30\x82\x01\x02", "DER"),
            (b"\x30\x03\x02\x01\x07", "DER"),
            (b"0\x1ft", "no PEM block"),
            (b"hello", "no PEM block"),
        ] {
            assert!(describe(bytes, &blocks(bytes)).contains(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn given_any_body_when_written_then_reads_back(der in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(bodies(&encode("A THING", &der)), [der]);
        }

        #[test]
        fn given_any_bytes_when_read_then_nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = describe(&text, &blocks(&text));
        }

        #[test]
        fn given_pem_like_text_when_read_then_nothing_panics(text in "(-----(BEGIN|END) A?-{0,5}|[A-Za-z=:\r\n ]{0,5}){0,12}") {
            let _ = blocks(text.as_bytes());
        }
    }
}
