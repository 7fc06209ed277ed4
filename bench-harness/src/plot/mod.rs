//! Plots as SVG: lines over two axes, and stacked bars. A picture is a text of its own, small enough to read, with a title, a
//! description, and what each point is worth when the pointer rests on it.
//!
//! ```text
//! Lines { axes, series } ─┐
//! Bars { rows of parts } ─┴─▶ svg(Palette::Inherit)   inside a page, which sets the colours (light and dark)
//!                             svg(Palette::Own)       a file by itself: it brings them along
//! ```
//!
//! Libraries draw with fixed colours; a picture that follows the reader's light or dark needs its colours as variables, and
//! that is most of what is here. Nothing here knows what is plotted.

mod bars;
mod lines;
mod scale;

use std::fmt::Write as _;

pub use bars::{Bar, Bars};
pub use lines::{Axis, Lines, Series};
pub use scale::{Scale, Show};

/// Colours of series, in order: those of Okabe and Ito, which differ for every kind of sight, darker on light and lighter on
/// dark.
pub const SERIES: usize = 8;

/// The colours of both modes, as CSS.
pub const COLOURS: &str = "
--ink:#1b1f24;--soft:#57606a;--rule:#d8dee4;--paper:#ffffff;--panel:#f6f8fa;
--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#b5669a;--s4:#8a6d00;--s5:#3a8fc4;--s6:#6e7781;--s7:#8250df;
";
/// Those on a dark ground.
pub const COLOURS_DARK: &str = "
--ink:#e6edf3;--soft:#9da7b3;--rule:#30363d;--paper:#0d1117;--panel:#161b22;
--s0:#56b4e9;--s1:#e69f00;--s2:#2bd0a0;--s3:#e08ac0;--s4:#f0e442;--s5:#8cc8f0;--s6:#9aa4af;--s7:#b392f0;
";

/// How a picture is drawn, without its colours.
pub const RULES: &str = "
svg.plot{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;max-width:100%;height:auto}
svg.plot text{fill:var(--soft)} svg.plot .head{fill:var(--ink);font-size:14px;font-weight:600}
svg.plot .rule{stroke:var(--rule);stroke-width:1;fill:none} svg.plot .faint{opacity:.5}
svg.plot .line{fill:none;stroke-width:2;stroke-linejoin:round} svg.plot .value{fill:var(--ink)}
";

/// Where the colours come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// From the page around it.
    Inherit,
    /// From the file itself: it follows the reader's light or dark.
    Own,
}

/// A picture that is being written.
#[derive(Debug)]
struct Canvas {
    text: String,
}

impl Canvas {
    fn new(palette: Palette, width: f64, height: f64, title: &str, about: &str) -> Self {
        let mut canvas = Self { text: String::new() };
        canvas.put(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\"><title>{}</title><desc>{}</desc>",
            escape(title),
            escape(about)
        ));
        if palette == Palette::Own {
            canvas.put(&format!(
                "<style>:root{{{}}}@media(prefers-color-scheme:dark){{:root{{{}}}}}{RULES}{}</style>\
                 <rect width=\"{width}\" height=\"{height}\" fill=\"var(--paper)\"/>",
                COLOURS.replace('\n', ""),
                COLOURS_DARK.replace('\n', ""),
                series_rules()
            ));
        }
        canvas.text(Anchor::Start, 12.0, 20.0, "head", title);
        canvas
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn text(&mut self, anchor: Anchor, x: f64, y: f64, class: &str, text: &str) {
        let anchor = anchor.word();
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        self.put(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{class}>{}</text>",
            escape(text)
        ));
    }

    fn rule(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], faint: bool) {
        let class = if faint { "rule faint" } else { "rule" };
        self.put(&format!(
            "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>"
        ));
    }

    /// Names of series with their colours, in rows of `width`; how high they are.
    fn legend(&mut self, names: &[String], left: f64, top: f64, width: f64) -> f64 {
        let (mut x, mut y) = (left, top);
        for (index, name) in names.iter().enumerate() {
            let wide = text_width(name) + 30.0;
            if x > left && x + wide > left + width {
                (x, y) = (left, y + 18.0);
            }
            self.put(&format!(
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" rx=\"2\" class=\"f{}\"/>",
                y - 10.0,
                index % SERIES
            ));
            self.text(Anchor::Start, x + 17.0, y, "", name);
            x += wide;
        }
        y - top + 18.0
    }

    fn finish(mut self) -> String {
        self.put("</svg>");
        self.text
    }
}

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// The classes of series: `l0` a line's stroke, `f0` a fill.
#[must_use]
pub fn series_rules() -> String {
    (0..SERIES).fold(String::new(), |mut rules, n| {
        let _ = write!(
            rules,
            "svg.plot .l{n}{{stroke:var(--s{n})}}svg.plot .f{n}{{fill:var(--s{n})}}"
        );
        rules
    })
}

/// About how wide a text is at 12 px: letters of the widest of the fonts that a browser may take.
fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'l' | 'j' | 't' | 'f' | 'r' | '.' | ',' | ' ' | '-' | '(' | ')' | '/' | '|' | ':' => 4.8,
            'm' | 'w' | 'M' | 'W' => 11.6,
            c if c.is_uppercase() => 8.8,
            '=' => 10.1,
            _ => 7.7,
        })
        .sum()
}

/// A text as it may stand in HTML and XML, in attributes too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML allows no other controls, escaped or not.
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_text() {
        assert_eq!(escape("a<b>&\"'\u{7}"), "a&lt;b&gt;&amp;&quot;&#39;\u{fffd}");
    }

    #[test]
    fn a_file_brings_its_colours_and_a_page_has_them() {
        let canvas = |palette| Canvas::new(palette, 10.0, 10.0, "t", "a").finish();
        assert!(canvas(Palette::Own).contains("prefers-color-scheme:dark"));
        assert!(!canvas(Palette::Inherit).contains("<style>"));
    }

    #[test]
    fn a_legend_breaks_where_it_is_full() {
        let names: Vec<String> = (0..9).map(|n| format!("a name of some length {n}")).collect();
        let height = |width| Canvas::new(Palette::Own, 10.0, 10.0, "t", "a").legend(&names, 0.0, 0.0, width);
        assert!((height(10_000.0) - 18.0).abs() < 1e-9);
        assert!(height(400.0) > 60.0);
    }
}
