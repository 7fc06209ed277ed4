//! Lines over two axes.

use std::fmt::Write as _;

use super::scale::Span;
use super::{Anchor, Canvas, Palette, SERIES, Scale, Show, escape};

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it is of.
    pub label: String,
    /// How it spreads.
    pub scale: Scale,
    /// How its values are written.
    pub show: Show,
}

impl Axis {
    /// An axis.
    #[must_use]
    pub fn new(label: &str, scale: Scale, show: Show) -> Self {
        Self {
            label: label.to_owned(),
            scale,
            show,
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is called in the legend.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<[f64; 2]>,
    /// Points that are drawn hollow, by index: there is something about them.
    pub hollow: Vec<usize>,
    /// Whether points are drawn at all, or only the line.
    pub dots: bool,
}

/// A plot of lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// What it shows.
    pub title: String,
    /// The same for those who do not see it.
    pub about: String,
    /// From left to right.
    pub x: Axis,
    /// From below upwards.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// A level that is drawn across, with its name.
    pub level: Option<(f64, String)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 36.0;
const BELOW: f64 = 48.0;

impl Lines {
    /// The picture.
    #[must_use]
    pub fn svg(&self, palette: Palette) -> String {
        let mut canvas = Canvas::new(palette, WIDTH, HEIGHT, &self.title, &self.about);
        let names: Vec<String> = self.series.iter().map(|series| series.name.clone()).collect();
        let top = 38.0 + canvas.legend(&names, LEFT, 42.0, WIDTH - LEFT - RIGHT);
        let levels = self.level.iter().map(|(level, _)| *level);
        let all = || self.series.iter().flat_map(|series| &series.points);
        let frame = Frame {
            x: Span::of(self.x.scale, all().map(|point| point[0])),
            y: Span::of(self.y.scale, all().map(|point| point[1]).chain(levels)),
            top,
        };
        self.axes(&mut canvas, &frame);
        if let Some((level, name)) = &self.level {
            let y = frame.place([0.0, *level])[1];
            canvas.put(&format!(
                "<path class=\"line l6\" stroke-dasharray=\"6 4\" d=\"M{LEFT} {y:.1}H{}\"/>",
                WIDTH - RIGHT
            ));
            canvas.text(Anchor::End, WIDTH - RIGHT - 4.0, y - 5.0, "", name);
        }
        for (index, series) in self.series.iter().enumerate() {
            self.line(&mut canvas, &frame, index % SERIES, series);
        }
        canvas.finish()
    }

    fn axes(&self, canvas: &mut Canvas, frame: &Frame) {
        let bottom = HEIGHT - BELOW;
        for tick in frame.x.ticks() {
            let x = frame.place([tick.value, 0.0])[0];
            canvas.rule([x, frame.top], [x, bottom], !tick.named);
            if tick.named {
                canvas.text(Anchor::Middle, x, bottom + 17.0, "", &self.x.show.write(tick.value));
            }
        }
        for tick in frame.y.ticks() {
            let y = frame.place([0.0, tick.value])[1];
            canvas.rule([LEFT, y], [WIDTH - RIGHT, y], !tick.named);
            if tick.named {
                canvas.text(Anchor::End, LEFT - 7.0, y + 4.0, "", &self.y.show.write(tick.value));
            }
        }
        canvas.text(
            Anchor::Middle,
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 10.0,
            "",
            &self.x.label,
        );
        let middle = f64::midpoint(frame.top, bottom);
        canvas.put(&format!(
            "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&self.y.label)
        ));
    }

    fn line(&self, canvas: &mut Canvas, frame: &Frame, colour: usize, series: &Series) {
        let points = series
            .points
            .iter()
            .filter(|point| point.iter().all(|value| value.is_finite()));
        let path = points.enumerate().fold(String::new(), |mut path, (index, point)| {
            let [x, y] = frame.place(*point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
            path
        });
        canvas.put(&format!("<path class=\"line l{colour}\" d=\"{path}\"/>"));
        for (index, point) in series.points.iter().enumerate() {
            let [x, y] = frame.place(*point);
            let told = format!(
                "{}: {} at {}",
                series.name,
                self.y.show.write(point[1]),
                self.x.show.write(point[0])
            );
            let look = if series.hollow.contains(&index) {
                format!("class=\"l{colour}\" fill=\"var(--paper)\" stroke-width=\"2\" r=\"4\"")
            } else if series.dots {
                format!("class=\"f{colour}\" r=\"3.5\"")
            } else {
                "fill=\"transparent\" r=\"6\"".to_owned()
            };
            canvas.put(&format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" {look}><title>{}</title></circle>",
                escape(&told)
            ));
        }
    }
}

/// Where values lie in the picture.
struct Frame {
    x: Span,
    y: Span,
    top: f64,
}

impl Frame {
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - BELOW - self.top);
        [
            LEFT + self.x.place(x) * width,
            self.top + (1.0 - self.y.place(y)) * height,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines {
            title: "t < u".to_owned(),
            about: "about".to_owned(),
            x: Axis::new("rate", Scale::Linear, Show::Count),
            y: Axis::new("latency", Scale::Log, Show::Micros),
            series: vec![Series {
                name: "p99".to_owned(),
                points: vec![[0.0, 100.0], [50_000.0, 1_000.0], [100_000.0, 10_000.0]],
                hollow: vec![2],
                dots: true,
            }],
            level: Some((5_000.0, "limit".to_owned())),
        }
    }

    #[test]
    fn higher_values_stand_higher_and_later_ones_to_the_right() {
        let svg = lines().svg(Palette::Inherit);
        let numbers = |name: &str| -> Vec<f64> {
            let start = format!("{name}=\"");
            let quoted = svg.split(start.as_str()).skip(1);
            let numbers = quoted.map(|rest| rest.split('"').next().expect("quoted"));
            numbers.map(|number| number.parse().expect("a number")).collect()
        };
        let (x, y) = (numbers("cx"), numbers("cy"));
        assert!(
            x.is_sorted_by(|a, b| a < b) && y.is_sorted_by(|a, b| a > b),
            "{x:?} {y:?}"
        );
        assert!((x[1] - f64::midpoint(x[0], x[2])).abs() < 0.11 && (y[1] - f64::midpoint(y[0], y[2])).abs() < 0.11);
        assert!(x[0] >= LEFT && x[2] <= WIDTH - RIGHT && y[0] <= HEIGHT - BELOW && y[2] > 50.0);
    }

    #[test]
    fn it_tells_its_points_and_its_text_is_safe() {
        let svg = lines().svg(Palette::Own);
        for part in [
            "<title>t &lt; u</title>",
            "p99: 1 ms at 50 k",
            "limit",
            ">100 k<",
            "var(--paper)",
        ] {
            assert!(svg.contains(part), "{part} is not in\n{svg}");
        }
        assert!(!svg.contains("NaN") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn a_plot_of_nothing_is_empty_and_whole() {
        let empty = Lines {
            series: Vec::new(),
            level: None,
            ..lines()
        };
        assert!(!empty.svg(Palette::Own).contains("NaN"));
    }
}
