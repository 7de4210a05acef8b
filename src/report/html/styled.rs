//! What the terminal would show, as HTML: the same words without writing them twice.

use super::escaped;

/// `ansi` is text with the escape sequences of our own styles; anything else in it was escaped before.
pub(super) fn html(ansi: &str) -> String {
    let mut out = String::with_capacity(ansi.len());
    let mut open = 0;
    let mut rest = ansi;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(&escaped(before));
        let Some((codes, text)) = after.split_once('m') else { break };
        rest = text;
        for code in codes.split(';') {
            let class = match code {
                "1" => "bold",
                "2" => "dim",
                "31" => "a",
                "32" => "b",
                "33" => "warn",
                "36" => "hint",
                _ => {
                    out.push_str(&"</span>".repeat(std::mem::take(&mut open)));
                    continue;
                }
            };
            out.push_str(&format!("<span class=\"{class}\">"));
            open += 1;
        }
    }
    out.push_str(&escaped(rest));
    out.push_str(&"</span>".repeat(open));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_become_spans_that_are_closed() {
        assert_eq!(html("x \u{1b}[31m<a>\u{1b}[0m y"), "x <span class=\"a\">&lt;a&gt;</span> y");
        assert_eq!(html("\u{1b}[1m\u{1b}[32mb"), "<span class=\"bold\"><span class=\"b\">b</span></span>");
    }
}
