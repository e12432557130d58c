//! A JSON string, byte by byte (RFC 8259 §7).

use aws_lc_rs::digest::Context;

/// Reads one string, from behind its opening quote to its closing one, and gives what it means to a [`Sink`].
pub(super) struct Text {
    place: Place,
    /// The first half of a surrogate pair, until its second half has come.
    high: Option<u16>,
    sink: Sink,
}

/// Where a string goes.
pub(super) enum Sink {
    /// Nowhere.
    Skip,
    /// Kept, if it is short enough for the words that are looked for.
    Short(Short),
    /// Hashed, whatever its length.
    Hash(Context),
}

/// Whether a string goes on.
pub(super) enum Progress {
    More,
    Ended,
    /// An escape that does not exist: this is no JSON.
    Broken,
}

enum Place {
    Plain,
    Escape,
    Hex { digits: u8, value: u16 },
}

impl Text {
    pub(super) fn new(sink: Sink) -> Self {
        Self { place: Place::Plain, high: None, sink }
    }

    /// Takes the next byte.
    pub(super) fn push(&mut self, byte: u8) -> Progress {
        match self.place {
            Place::Plain => return self.plain(byte),
            Place::Escape => self.escaped(byte),
            Place::Hex { digits, value } => self.hex(byte, digits, value),
        }
        .map_or(Progress::Broken, |()| Progress::More)
    }

    /// What was read, once the string has ended.
    pub(super) fn into_sink(self) -> Sink {
        self.sink
    }

    fn plain(&mut self, byte: u8) -> Progress {
        match byte {
            b'\\' => {
                self.place = Place::Escape;
                return Progress::More;
            }
            b'"' => self.end_pair(),
            _ => self.emit(&[byte]),
        }
        if byte == b'"' { Progress::Ended } else { Progress::More }
    }

    fn escaped(&mut self, byte: u8) -> Option<()> {
        let meant = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.place = Place::Hex { digits: 0, value: 0 };
                return Some(());
            }
            _ => return None,
        };
        self.place = Place::Plain;
        self.emit(&[meant]);
        Some(())
    }

    fn hex(&mut self, byte: u8, digits: u8, value: u16) -> Option<()> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok())?;
        let value = value << 4 | digit;
        if digits < 3 {
            self.place = Place::Hex { digits: digits + 1, value };
            return Some(());
        }
        self.place = Place::Plain;
        self.unit(value);
        Some(())
    }

    /// A UTF-16 unit; half a pair means U+FFFD.
    fn unit(&mut self, unit: u16) {
        if matches!(unit, 0xd800..=0xdbff) {
            self.end_pair();
            self.high = Some(unit);
            return;
        }
        let pair = [self.high.unwrap_or(unit), unit];
        let units = if matches!(unit, 0xdc00..=0xdfff) && self.high.take().is_some() { &pair[..] } else { &pair[1..] };
        for character in char::decode_utf16(units.iter().copied()) {
            self.emit(character.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn end_pair(&mut self) {
        if self.high.take().is_some() {
            self.sink.take(REPLACEMENT);
        }
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.end_pair();
        self.sink.take(bytes);
    }
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) {
        match self {
            Self::Skip => {}
            Self::Short(short) => bytes.iter().for_each(|byte| short.push(*byte)),
            Self::Hash(hash) => hash.update(bytes),
        }
    }
}

/// A string of at most so many bytes as the longest word that is looked for.
pub(super) struct Short {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl Short {
    const MOST: usize = 32;

    pub(super) fn new() -> Self {
        Self { bytes: [0; Self::MOST], length: 0 }
    }

    /// The string; `None` for one that is longer than every word.
    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = (self.length + 1).min(Self::MOST + 1);
    }
}

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

#[cfg(test)]
mod tests {
    use super::super::super::{ErrorCode, Hint};
    use super::*;

    /// What a string means; `None` for one that is broken or does not end.
    fn meant(text: &[u8]) -> Option<Vec<u8>> {
        let mut read = Text::new(Sink::Short(Short::new()));
        for (at, byte) in text.iter().enumerate() {
            match read.push(*byte) {
                Progress::More => {}
                Progress::Broken => return None,
                Progress::Ended => {
                    assert_eq!(at + 1, text.len(), "ended early");
                    let Sink::Short(short) = read.into_sink() else { unreachable!("was made so") };
                    return short.as_bytes().map(<[u8]>::to_vec);
                }
            }
        }
        None
    }

    #[test]
    fn given_a_string_when_read_then_what_json_means_by_it() {
        let table: &[(&[u8], &str)] = &[
            (b"\"", ""),
            (b"plain\"", "plain"),
            (br#"\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (br#"a\u0062c""#, "abc"),
            (br#"\u00e5\u20AC""#, "å€"),
            (br#"\ud83d\ude00""#, "😀"),
            ("å😀\"".as_bytes(), "å😀"),
            (br#"\ud83dx""#, "\u{fffd}x"),
            (br#"\ud83d""#, "\u{fffd}"),
            (br#"\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (br#"\ud83d\u0041""#, "\u{fffd}A"),
            (br#"\ud83d\n""#, "\u{fffd}\n"),
            (br#"\ude00""#, "\u{fffd}"),
        ];
        for (text, expected) in table {
            assert_eq!(meant(text).as_deref(), Some(expected.as_bytes()), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn given_what_is_no_string_when_read_then_none() {
        for text in [&b""[..], b"open", br"\", br#"\x""#, br#"\u12g4""#, br#"\u123""#, br#"\""#] {
            assert_eq!(meant(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn given_every_word_when_kept_then_it_has_room_and_a_longer_string_has_none() {
        let words = Hint::ALL.iter().map(|hint| hint.label()).chain(ErrorCode::ALL.iter().map(|code| code.label()));
        assert!(words.map(str::len).max().is_some_and(|longest| longest < Short::MOST));
        let long = [b'a'; Short::MOST + 1];
        assert_eq!(meant(&[&long[1..], b"\""].concat()).map(|read| read.len()), Some(Short::MOST));
        assert_eq!(meant(&[&long[..], b"\""].concat()), None);
    }
}
