//! Watching an answer while it streams.

#[cfg(test)]
mod tests;
mod text;

use std::mem;

use aws_lc_rs::digest::Context;

use self::text::{Progress, Short, Sink, Text};
use super::key::hasher;
use super::{ErrorCode, Hint, OrderKey, Status};

/// What an answer tells: the members of its outermost object that are known. Where one stands twice, the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// `orderRef`.
    pub order: Option<OrderKey>,
    /// `status`.
    pub status: Option<Status>,
    /// `hintCode`.
    pub hint: Option<Hint>,
    /// `errorCode`.
    pub error: Option<ErrorCode>,
    /// The outermost object has ended: nothing was cut off, and this was an object.
    pub whole: bool,
}

impl Findings {
    /// The label for `status`; `none` where there is none.
    pub fn status_label(&self) -> &'static str {
        self.status.map_or("none", Status::label)
    }

    /// The label for `hintCode`; `none` where there is none.
    pub fn hint_label(&self) -> &'static str {
        self.hint.map_or("none", Hint::label)
    }
}

/// Reads a JSON answer as it passes, in pieces of any size, and keeps a few words of it.
///
/// Memory does not grow with the answer. Anything is taken: what is no JSON object is passed over from the byte on at which
/// that shows, what is cut off is not [`Findings::whole`], and an answer that is compressed tells nothing.
pub struct Watch {
    place: Place,
    found: Findings,
    has_members: bool,
}

/// Where in the answer the next byte stands.
enum Place {
    /// Before the outermost object; so many bytes of a byte order mark have come.
    Start(usize),
    /// Before a member, or the object's end.
    Members,
    /// In a member's name.
    Name(Text),
    /// Between name and value.
    Colon(Option<Field>),
    /// Before a value.
    Value(Option<Field>),
    /// In a value that is a string.
    String(Option<Field>, Text),
    /// In an object or array, so deep.
    Nested(u64),
    /// In a string in an object or array, so deep.
    NestedString(u64, Text),
    /// In or behind a value.
    Behind,
    /// Behind the outermost object.
    Done,
    /// This is no JSON object.
    Lost,
}

/// A member that is looked for.
#[derive(Clone, Copy)]
enum Field {
    Order,
    Status,
    Hint,
    Error,
}

impl Watch {
    /// Before an answer's first byte.
    pub fn new() -> Self {
        Self { place: Place::Start(0), found: Findings::default(), has_members: false }
    }

    /// Takes the next piece. Gives the place, in this piece, of the brace that ends the outermost object.
    pub fn push(&mut self, piece: &[u8]) -> Option<usize> {
        let mut end = None;
        for (at, byte) in piece.iter().enumerate() {
            match self.place {
                Place::Done | Place::Lost => break,
                _ => self.take(*byte),
            }
            if matches!(self.place, Place::Done) {
                end = Some(at);
            }
        }
        end
    }

    /// What was found until now.
    pub fn found(&self) -> Findings {
        self.found
    }

    /// Whether the outermost object has a member.
    pub fn has_members(&self) -> bool {
        self.has_members
    }

    fn take(&mut self, byte: u8) {
        let place = mem::replace(&mut self.place, Place::Lost);
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.place = match (place, byte) {
            (Place::Start(bom), _) => start(bom, byte, is_space),
            (Place::Name(text), _) => self.name(text, byte),
            (Place::String(field, text), _) => self.string(field, text, byte),
            (Place::NestedString(depth, text), _) => nested_string(depth, text, byte),
            (Place::Nested(depth), _) => nested(depth, byte),
            (place, _) if is_space => place,
            (Place::Members, b'"') => Place::Name(Text::new(Sink::Short(Short::new()))),
            (Place::Colon(field), b':') => Place::Value(field),
            (Place::Value(field), _) => self.value(field, byte),
            (Place::Behind, b',') => Place::Members,
            (Place::Members | Place::Behind, b'}') => self.done(),
            (Place::Behind, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') => Place::Behind,
            (Place::Members | Place::Colon(_) | Place::Behind | Place::Done | Place::Lost, _) => Place::Lost,
        };
    }

    fn done(&mut self) -> Place {
        self.found.whole = true;
        Place::Done
    }

    fn name(&mut self, mut text: Text, byte: u8) -> Place {
        match text.push(byte) {
            Progress::More => Place::Name(text),
            Progress::Broken => Place::Lost,
            Progress::Ended => {
                self.has_members = true;
                let Sink::Short(name) = text.into_sink() else { return Place::Colon(None) };
                Place::Colon(name.as_bytes().and_then(Field::named))
            }
        }
    }

    /// The first byte of a value. What an earlier member of this name said does not count any more.
    fn value(&mut self, field: Option<Field>, byte: u8) -> Place {
        if let Some(field) = field {
            self.forget(field);
        }
        match byte {
            b'"' => Place::String(field, Text::new(Field::sink(field))),
            b'{' | b'[' => Place::Nested(1),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Place::Behind,
            _ => Place::Lost,
        }
    }

    fn string(&mut self, field: Option<Field>, mut text: Text, byte: u8) -> Place {
        match text.push(byte) {
            Progress::More => return Place::String(field, text),
            Progress::Broken => return Place::Lost,
            Progress::Ended => {}
        }
        match (field, text.into_sink()) {
            (Some(field), Sink::Short(word)) => self.find(field, word.as_bytes().unwrap_or_default()),
            (_, Sink::Hash(hashed)) => self.order(hashed),
            (None, Sink::Short(_)) | (_, Sink::Skip) => {}
        }
        Place::Behind
    }

    fn forget(&mut self, field: Field) {
        match field {
            Field::Order => self.found.order = None,
            Field::Status => self.found.status = None,
            Field::Hint => self.found.hint = None,
            Field::Error => self.found.error = None,
        }
    }

    fn find(&mut self, field: Field, word: &[u8]) {
        match field {
            Field::Order => {}
            Field::Status => self.found.status = Some(Status::read(word)),
            Field::Hint => self.found.hint = Some(Hint::read(word)),
            Field::Error => self.found.error = Some(ErrorCode::read(word)),
        }
    }

    fn order(&mut self, hashed: Context) {
        self.found.order = Some(OrderKey::of_hashed(hashed));
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Field {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"orderRef" => Some(Self::Order),
            b"status" => Some(Self::Status),
            b"hintCode" => Some(Self::Hint),
            b"errorCode" => Some(Self::Error),
            _ => None,
        }
    }

    fn sink(field: Option<Self>) -> Sink {
        match field {
            Some(Self::Order) => Sink::Hash(hasher()),
            Some(Self::Status | Self::Hint | Self::Error) => Sink::Short(Short::new()),
            None => Sink::Skip,
        }
    }
}

fn start(bom: usize, byte: u8, is_space: bool) -> Place {
    match byte {
        _ if BOM.get(bom) == Some(&byte) => Place::Start(bom + 1),
        // Half a byte order mark is none.
        _ if bom != 0 && bom != BOM.len() => Place::Lost,
        b'{' => Place::Members,
        _ if is_space => Place::Start(BOM.len()),
        _ => Place::Lost,
    }
}

fn nested(depth: u64, byte: u8) -> Place {
    match byte {
        b'"' => Place::NestedString(depth, Text::new(Sink::Skip)),
        b'{' | b'[' => Place::Nested(depth.saturating_add(1)),
        b'}' | b']' if depth == 1 => Place::Behind,
        b'}' | b']' => Place::Nested(depth - 1),
        _ => Place::Nested(depth),
    }
}

fn nested_string(depth: u64, mut text: Text, byte: u8) -> Place {
    match text.push(byte) {
        Progress::More => Place::NestedString(depth, text),
        Progress::Ended => Place::Nested(depth),
        Progress::Broken => Place::Lost,
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";
