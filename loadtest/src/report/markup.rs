//! HTML that is escaped by whoever writes text into it.

/// A piece of a page.
#[derive(Default)]
pub(super) struct Markup(String);

/// A cell of a table.
pub(super) struct Cell {
    inner: String,
    class: &'static str,
}

impl Markup {
    /// Markup as it is: only for what holds nothing of a result.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    /// An element that holds text.
    pub(super) fn element(&mut self, tag: &str, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.0.push_str(&format!("<{tag}{class}>{}</{tag}>\n", escaped(text)));
    }

    /// Something that is opened by a click.
    pub(super) fn folded(&mut self, summary: &str, inside: impl FnOnce(&mut Self)) {
        self.raw("<details>");
        self.element("summary", "", summary);
        inside(self);
        self.raw("</details>\n");
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self { inner: escaped(text), class: "" }
    }

    /// Text with another look.
    pub(super) fn classed(text: &str, class: &'static str) -> Self {
        Self { inner: escaped(text), class }
    }

    /// A figure: to the right, digits below digits.
    pub(super) fn number(text: &str) -> Self {
        Self::classed(text, "n")
    }

    /// A place on this page.
    pub(super) fn link(to: String, text: &str) -> Self {
        Self { inner: format!("<a href=\"{}\">{}</a>", escaped(&to), escaped(text)), class: "" }
    }
}

/// A table that scrolls by itself where the screen is narrow.
pub(super) fn table(out: &mut Markup, heads: &[&str], rows: Vec<Vec<Cell>>) {
    out.raw("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    let numbers = |column: usize| !rows.is_empty() && rows.iter().all(|row| row.get(column).is_some_and(|cell| cell.class == "n"));
    for (column, head) in heads.iter().enumerate() {
        out.element("th", if numbers(column) { "n" } else { "" }, head);
    }
    out.raw("</tr></thead><tbody>\n");
    for row in rows {
        out.raw("<tr>");
        for cell in row {
            let class = if cell.class.is_empty() { String::new() } else { format!(" class=\"{}\"", cell.class) };
            out.raw(&format!("<td{class}>{}</td>", cell.inner));
        }
        out.raw("</tr>\n");
    }
    out.raw("</tbody></table></div>\n");
}

/// Text that means itself in elements and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() && !letter.is_whitespace() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
