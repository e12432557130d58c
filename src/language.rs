//! The languages that people are spoken to in, and texts that exist in all of them.
//!
//! A [`Say`] without one of its languages does not compile, so that nothing is forgotten.

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Swedish.
    Sv,
    /// Norwegian, bokmål.
    Nb,
    /// German.
    De,
}

impl Lang {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Sv, Self::Nb, Self::De, Self::En];

    /// As in `lang` of HTML (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Sv => "sv",
            Self::Nb => "nb",
            Self::De => "de",
        }
    }

    /// Its name for itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Sv => "Svenska",
            Self::Nb => "Norsk",
            Self::De => "Deutsch",
        }
    }

    /// By a tag such as `de-AT`; Norwegian of every kind is bokmål to us.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default().trim();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Some(Self::En),
            "sv" => Some(Self::Sv),
            "nb" | "no" | "nn" => Some(Self::Nb),
            "de" => Some(Self::De),
            _ => None,
        }
    }

    /// What a browser would like best of what there is, by its `Accept-Language` (RFC 9110 §12.5.4); of equals the first.
    pub fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';');
            let Some(lang) = parts.next().and_then(Self::from_tag) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if weight > best.map_or(0.0, |(best, _)| best) {
                best = Some((weight, lang));
            }
        }
        best.map(|(_, lang)| lang)
    }
}

/// The same in every language. `{name}` is the place of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Say {
    pub(crate) en: &'static str,
    pub(crate) sv: &'static str,
    pub(crate) nb: &'static str,
    pub(crate) de: &'static str,
}

impl Say {
    pub(crate) const fn new(en: &'static str, sv: &'static str, nb: &'static str, de: &'static str) -> Self {
        Self { en, sv, nb, de }
    }

    pub(crate) const fn to(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Sv => self.sv,
            Lang::Nb => self.nb,
            Lang::De => self.de,
        }
    }

    /// With facts in their places. What is filled in is not looked at again.
    pub(crate) fn fill(self, lang: Lang, facts: &[(&str, impl AsRef<str>)]) -> String {
        let mut out = String::new();
        let mut rest = self.to(lang);
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, tail)) = after.split_once('}') else { break };
            match facts.iter().find(|(fact, _)| *fact == name) {
                Some((_, value)) => out.push_str(value.as_ref()),
                None => out.extend(["<", name, ">"]),
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    }

    /// Has words of its own in every language, with places for the same facts; Swedish and Norwegian may say the same.
    #[cfg(test)]
    pub(crate) fn assert_whole(self) {
        let texts: std::collections::BTreeSet<_> = Lang::ALL.map(|lang| self.to(lang)).into_iter().collect();
        assert!(texts.len() >= 3 && self.nb != self.en, "two languages say the same: {texts:?}");
        for text in texts {
            assert_eq!(places(text), places(self.en), "{text}");
            assert!(!text.is_empty() && text == text.trim(), "{text:?}");
        }
    }
}

/// Names of facts.
#[cfg(test)]
pub(crate) fn places(text: &str) -> std::collections::BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|after| after.split('}').next()).collect()
}

/// A text that was put together, in every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InEach([String; Lang::ALL.len()]);

impl InEach {
    /// As `tell` says it in each.
    pub fn of(tell: impl Fn(Lang) -> String) -> Self {
        Self(Lang::ALL.map(tell))
    }

    /// In one of them.
    pub fn to(&self, lang: Lang) -> &str {
        let at = Lang::ALL.iter().position(|each| *each == lang);
        at.map_or("", |at| &self.0[at])
    }
}

/// Programs get English.
impl serde::Serialize for InEach {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.to(Lang::En))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_facts_when_filled_in_then_they_are_not_read_as_places() {
        let say = Say { en: "{a} and {b}", sv: "", nb: "", de: "" };
        assert_eq!(say.fill(Lang::En, &[("a", "{b}".to_owned()), ("b", "2".to_owned())]), "{b} and 2");
        assert_eq!(say.fill(Lang::En, &[("a", "1".to_owned())]), "1 and <b>");
    }

    #[test]
    fn given_a_text_in_each_language_when_asked_for_then_that_one_and_english_for_programs() {
        let text = InEach::of(|lang| lang.tag().to_owned());
        assert!(Lang::ALL.iter().all(|lang| text.to(*lang) == lang.tag()));
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"en\"");
    }

    #[test]
    fn given_what_a_browser_accepts_when_read_then_the_best_that_there_is() {
        #[rustfmt::skip]
        let table = [
            ("sv",                                   Some(Lang::Sv)),
            ("nn-NO,nn;q=0.9,en;q=0.8",              Some(Lang::Nb)),
            ("fr-CH, fr;q=0.9, de;q=0.7, en;q=0.8",  Some(Lang::En)),
            ("de-AT;q=0.5,sv;q=0.5",                 Some(Lang::De)),
            ("sv;q=0, de ; q=0.1",                   Some(Lang::De)),
            ("*",                                    None),
            ("sv;q=x",                               Some(Lang::Sv)),
            ("",                                     None),
        ];
        for (header, lang) in table {
            assert_eq!(Lang::accepted(header), lang, "{header}");
        }
        assert!(Lang::ALL.iter().all(|lang| Lang::from_tag(lang.tag()) == Some(*lang)));
    }
}
