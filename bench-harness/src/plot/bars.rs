//! Stacked bars, from left to right.

use super::scale::Span;
use super::{Anchor, Canvas, Palette, SERIES, Scale, Show, escape, text_width};

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What stands before it.
    pub name: String,
    /// Its parts, one for each name of the plot.
    pub parts: Vec<f64>,
}

/// A plot of bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// The same for those who do not see it.
    pub about: String,
    /// What a length is of.
    pub label: String,
    /// How it is written.
    pub show: Show,
    /// What the parts are; of bars without parts, one without a name.
    pub parts: Vec<String>,
    /// The bars, from above.
    pub bars: Vec<Bar>,
}

const WIDTH: f64 = 760.0;
const ROW: f64 = 34.0;
const BELOW: f64 = 46.0;
const RIGHT: f64 = 84.0;
/// Names of ratios are half a sentence, and bars need some room too.
const NAMES_MAX: f64 = 460.0;

impl Bars {
    /// The picture.
    #[must_use]
    pub fn svg(&self, palette: Palette) -> String {
        let legend = self.parts.iter().any(|part| !part.is_empty());
        let rows = self.bars.len() as f64;
        // As many legend rows as there may be, before it is known how many there are.
        let legend_rows = if legend {
            (self.parts.iter().map(|p| text_width(p) + 30.0).sum::<f64>() / 600.0).ceil()
        } else {
            0.0
        };
        let top = 36.0 + legend_rows * 20.0;
        let height = top + rows * ROW + BELOW;
        let mut canvas = Canvas::new(palette, WIDTH, height, &self.title, &self.about);
        if legend {
            canvas.legend(&self.parts, 12.0, 42.0, 700.0);
        }
        let widest = self.bars.iter().map(|bar| text_width(&bar.name)).fold(0.0, f64::max);
        let left = (widest + 24.0).clamp(60.0, NAMES_MAX);
        let total = |bar: &Bar| bar.parts.iter().sum::<f64>();
        let span = Span::of(Scale::Linear, self.bars.iter().map(total));
        let place = |value: f64| left + span.place(value) * (WIDTH - left - RIGHT);
        let bottom = top + rows * ROW;
        for tick in span.ticks() {
            let x = place(tick.value);
            canvas.rule([x, top], [x, bottom], false);
            canvas.text(Anchor::Middle, x, bottom + 17.0, "", &self.show.write(tick.value));
        }
        canvas.text(
            Anchor::Middle,
            f64::midpoint(left, WIDTH - RIGHT),
            height - 8.0,
            "",
            &self.label,
        );
        for (index, bar) in self.bars.iter().enumerate() {
            let y = top + index as f64 * ROW;
            canvas.text(Anchor::End, left - 8.0, y + ROW / 2.0 + 4.0, "", &bar.name);
            self.bar(&mut canvas, bar, y, &place);
            canvas.text(
                Anchor::Start,
                place(total(bar)) + 6.0,
                y + ROW / 2.0 + 4.0,
                "value",
                &self.show.write(total(bar)),
            );
        }
        canvas.finish()
    }

    fn bar(&self, canvas: &mut Canvas, bar: &Bar, y: f64, place: &impl Fn(f64) -> f64) {
        let mut before = 0.0;
        for (index, (value, name)) in bar.parts.iter().zip(&self.parts).enumerate() {
            let (from, to) = (place(before), place(before + value));
            before += value;
            let told = match name.as_str() {
                "" => format!("{}: {}", bar.name, self.show.write(*value)),
                name => format!("{}, {name}: {}", bar.name, self.show.write(*value)),
            };
            canvas.put(&format!(
                "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"f{}\"><title>{}</title></rect>",
                y + 6.0,
                (to - from).max(0.0),
                ROW - 12.0,
                index % SERIES,
                escape(&told)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_sum_up() {
        let bars = Bars {
            title: "cost".to_owned(),
            about: "a".to_owned(),
            label: "µs".to_owned(),
            show: Show::Number,
            parts: vec!["verify".to_owned(), "log".to_owned()],
            bars: vec![
                Bar {
                    name: "one".to_owned(),
                    parts: vec![1.0, 3.0],
                },
                Bar {
                    name: "two".to_owned(),
                    parts: vec![2.0, 0.0],
                },
            ],
        };
        let svg = bars.svg(Palette::Own);
        assert!(
            svg.contains("one, log: 3") && svg.contains(">4<") && svg.contains(">2<"),
            "{svg}"
        );
        let field = |line: &str, name: &str| -> f64 {
            let rest = line.split(&format!(" {name}=\"")).nth(1).expect("an attribute");
            rest.split('"').next().expect("quoted").parse().expect("a number")
        };
        let rects: Vec<(f64, f64)> = svg
            .lines()
            .filter(|line| line.contains("</title></rect>"))
            .map(|line| (field(line, "x"), field(line, "width")))
            .collect();
        assert_eq!(rects.len(), 4);
        assert!((rects[0].0 + rects[0].1 - rects[1].0).abs() < 0.2, "{rects:?}");
        assert!((rects[1].1 / rects[0].1 - 3.0).abs() < 0.01, "{rects:?}");
        assert!(rects[3].1.abs() < 1e-9, "{rects:?}");
    }
}
