//! Tables that become cards where the screen is narrow.
//!
//! # Why
//!
//! A table whose rows are laid out as blocks is no table any more to some screen readers, so the roles are written down.

use super::Page;

/// Writes a table; each row writes its cells by [`cell`].
pub(super) fn table<T>(
    page: &mut Page<'_>,
    label: &str,
    columns: &[&'static str],
    rows: &[T],
    write_row: impl Fn(&mut Page<'_>, &mut Cells<'_>, &T),
) {
    page.html.start("table", &[("role", "table"), ("aria-label", label)]);
    page.html.start("thead", &[("role", "rowgroup")]);
    page.html.start("tr", &[("role", "row")]);
    for column in columns {
        page.html.start("th", &[("role", "columnheader"), ("scope", "col")]);
        page.html.prose(column);
        page.html.end("th");
    }
    page.html.close("tr");
    page.html.close("thead");
    page.html.start("tbody", &[("role", "rowgroup")]);
    for row in rows {
        page.html.start("tr", &[("role", "row")]);
        write_row(page, &mut Cells(columns.iter()), row);
        page.html.close("tr");
    }
    page.html.close("tbody");
    page.html.close("table");
}

/// The columns whose cells are still to be written.
pub(super) struct Cells<'a>(std::slice::Iter<'a, &'static str>);

impl Cells<'_> {
    /// The next cell.
    pub(super) fn cell(&mut self, page: &mut Page<'_>, class: &str, write: impl FnOnce(&mut Page<'_>)) {
        let label = self.0.next().copied().unwrap_or_default().replace('`', "");
        page.html.start("td", &[("role", "cell"), ("class", class), ("data-label", &label)]);
        page.html.open("span", "");
        write(page);
        page.html.end("span");
        page.html.close("td");
    }

    /// The next cell, with a text.
    pub(super) fn text(&mut self, page: &mut Page<'_>, class: &str, text: &str) {
        self.cell(page, class, |page| page.html.text(text));
    }
}
