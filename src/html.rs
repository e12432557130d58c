//! HTML as it is written here: every text and every value of an attribute is escaped, and nothing else can be.

/// A document that grows.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// The document.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Begins an element; without a class where that is empty.
    pub(crate) fn open(&mut self, tag: &str, class: &str) {
        match class {
            "" => self.0.extend(["<", tag, ">"]),
            class => self.start(tag, &[("class", class)]),
        }
    }

    /// Begins an element with attributes.
    pub(crate) fn start(&mut self, tag: &str, attributes: &[(&str, &str)]) {
        self.0.extend(["<", tag]);
        for (name, value) in attributes {
            self.0.extend([" ", name, "=\"", &escaped(value), "\""]);
        }
        self.0.push('>');
    }

    /// Ends an element that stands on its own.
    pub(crate) fn close(&mut self, tag: &str) {
        self.0.extend(["</", tag, ">\n"]);
    }

    /// Ends an element within a line.
    pub(crate) fn end(&mut self, tag: &str) {
        self.0.extend(["</", tag, ">"]);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    /// What stands between backticks is set as code.
    pub(crate) fn prose(&mut self, text: &str) {
        for (index, part) in text.split('`').enumerate() {
            match index % 2 {
                0 => self.text(part),
                _ => self.0.extend(["<code>", &escaped(part), "</code>"]),
            }
        }
    }

    /// A whole element that stands on its own.
    pub(crate) fn tag(&mut self, tag: &str, class: &str, text: &str) {
        self.open(tag, class);
        self.text(text);
        self.close(tag);
    }

    /// A whole element within a line.
    pub(crate) fn inline(&mut self, tag: &str, class: &str, text: &str) {
        self.open(tag, class);
        self.text(text);
        self.end(tag);
    }

    /// Markup of our own, in which nothing comes from elsewhere.
    pub(crate) fn markup(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }
}

/// Text between tags, or in an attribute's quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if c.is_control() || is_invisible(c) => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// Turns the direction of the text behind it, or cannot be seen: `evil\u{202e}moc.bank` is not to look like something else.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_what_a_server_may_write_when_shown_then_it_is_text() {
        let mut html = Html::default();
        html.tag("p", "", "<script>alert('x')</script> & \"y\"\u{1b}[31m \u{202e}moc");
        html.start("a", &[("href", "\"><script>")]);
        assert_eq!(
            html.into_string(),
            "<p>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;?[31m ?moc</p>\n<a href=\"&quot;&gt;&lt;script&gt;\">"
        );
    }

    proptest! {
        #[test]
        fn given_any_text_when_escaped_then_no_markup(text in "[^\\p{C}]*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let back = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(back.replace("&amp;", "&"), text);
        }
    }
}
