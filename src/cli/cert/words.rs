//! Times and tables for people.

use crate::time::Timestamp;

/// Such as `2026-11-30 04:12 UTC`.
pub(in crate::cli) fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    match text.get(..16) {
        Some(minute) if text.ends_with('Z') => format!("{} UTC", minute.replace('T', " ")),
        _ => text,
    }
}

/// Such as `11-30`, where the year goes without saying; else the whole date.
pub(super) fn day(time: Timestamp, now: Timestamp) -> String {
    let (text, today) = (time.to_string(), now.to_string());
    match (text.get(..10), text.get(..5) == today.get(..5)) {
        (Some(date), true) => date[5..].to_owned(),
        (Some(date), false) => date.to_owned(),
        (None, _) => text,
    }
}

/// Columns as wide as what is in them.
pub(super) fn table<const WIDTH: usize>(rows: &[[String; WIDTH]]) -> String {
    let widths: Vec<usize> =
        (0..WIDTH).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; WIDTH]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_time_when_written_then_to_the_minute_and_the_year_where_it_differs() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let time = "2026-11-30T04:12:59Z".parse().unwrap();
        assert_eq!(minute(time), "2026-11-30 04:12 UTC");
        assert_eq!(day(time, now), "11-30");
        assert_eq!(day("2027-01-02T00:00:00Z".parse().unwrap(), now), "2027-01-02");
    }

    #[test]
    fn given_rows_when_written_then_columns_stand_below_each_other() {
        let rows = [["NAME", "STATE"], ["a.test", "issued"], ["é.test.example", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "NAME            STATE\na.test          issued\né.test.example\n");
    }
}
