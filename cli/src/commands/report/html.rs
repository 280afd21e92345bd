//! Writing HTML. Markup is only what stands in the program's text; everything else is escaped on its way in.

use std::fmt::{Display, Write as _};

/// A page as it grows.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours. It takes nothing that was put together while the program runs.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, or the value of an attribute in double quotes.
    pub(super) fn text(&mut self, value: impl Display) -> &mut Self {
        // Writing into a String does not fail.
        let _ = write!(Escaping(&mut self.0), "{value}");
        self
    }

    /// A cell of a table.
    pub(super) fn cell(&mut self, value: impl Display) -> &mut Self {
        self.raw("<td>").text(value).raw("</td>")
    }

    /// A cell with a number.
    pub(super) fn number(&mut self, value: impl Display) -> &mut Self {
        self.raw("<td class=\"n\">").text(value).raw("</td>")
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

struct Escaping<'a>(&'a mut String);

impl std::fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_markup_of_ours_never_becomes_markup() {
        let mut html = Html::default();
        html.raw("<b title=\"").text("\" onclick='x").raw("\">").text("<script>&").raw("</b>").cell("</td><td>");
        let wanted = "<b title=\"&quot; onclick=&#39;x\">&lt;script&gt;&amp;</b><td>&lt;/td&gt;&lt;td&gt;</td>";
        assert_eq!(html.finish(), wanted);
    }
}
