//! HTML tables.

use super::figure::escape;

/// A column. Numbers are aligned to the right.
pub(super) struct Column {
    title: &'static str,
    class: &'static str,
}

pub(super) fn numbers<const N: usize>(titles: [&'static str; N]) -> Vec<Column> {
    titles.map(|title| Column { title, class: " class=\"n\"" }).into()
}

pub(super) fn words<const N: usize>(titles: [&'static str; N]) -> Vec<Column> {
    titles.map(|title| Column { title, class: "" }).into()
}

/// A table that scrolls by itself if the page is narrower.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: String,
}

impl Table {
    pub(super) fn new(columns: Vec<Column>) -> Table {
        Table { columns, rows: String::new() }
    }

    /// Adds a row of cells, each HTML.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows += &self.line("td", &cells);
    }

    fn line(&self, tag: &str, cells: &[String]) -> String {
        let cells =
            self.columns.iter().zip(cells).map(|(column, cell)| format!("<{tag}{}>{cell}</{tag}>", column.class));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    }

    /// Returns the table, with a last row of sums if `foot` has cells.
    pub(super) fn html(&self, foot: &[String]) -> String {
        let titles: Vec<String> = self.columns.iter().map(|column| escape(column.title)).collect();
        let foot = if foot.is_empty() { String::new() } else { format!("<tfoot>{}</tfoot>", self.line("td", foot)) };
        let (head, rows) = (self.line("th", &titles), &self.rows);
        format!("<div class=\"wide\"><table><thead>{head}</thead><tbody>{rows}</tbody>{foot}</table></div>\n")
    }
}
