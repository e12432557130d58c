//! The page about a code, as it lies in `pages/`.

use std::fmt;

/// Why a problem matters, how to mend it, and two whole configurations: one that has the problem, one that has not.
///
/// In Markdown: the headings `## Why`, `## How to mend it`, `## Wrong` and `## Right`, the last two with one code block
/// each. A remark such as `<!-- given: homeless -->` before them tells the test what the first example takes as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(pub(super) &'static str);

impl Page {
    /// Why it matters.
    pub fn why(self) -> &'static str {
        self.section("Why")
    }

    /// How to mend it.
    pub fn fix(self) -> &'static str {
        self.section("How to mend it")
    }

    /// A configuration with the problem.
    pub fn wrong(self) -> &'static str {
        self.example("Wrong")
    }

    /// The configuration mended.
    pub fn right(self) -> &'static str {
        self.example("Right")
    }

    /// What the wrong example takes as given, in one word; empty for nothing.
    pub fn given(self) -> &'static str {
        self.0.strip_prefix("<!-- given: ").and_then(|rest| rest.split(" -->").next()).unwrap_or_default()
    }

    fn section(self, heading: &str) -> &'static str {
        let mut sections = self.0.split("## ").skip(1).filter_map(|section| section.split_once('\n'));
        sections.find(|(own, _)| *own == heading).map(|(_, text)| text.trim()).unwrap_or_default()
    }

    fn example(self, heading: &str) -> &'static str {
        let block = self.section(heading).strip_prefix("```toml\n").and_then(|rest| rest.split("```").next());
        block.unwrap_or_default()
    }
}

impl fmt::Display for Page {
    /// For a terminal: paragraphs, and the examples indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = |example: &str| example.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
        writeln!(f, "Why it matters:\n{}\n\nHow to mend it:\n{}\n", self.why(), self.fix())?;
        write!(f, "Wrong:\n\n{}\nRight:\n\n{}", indented(self.wrong()), indented(self.right()))
    }
}
