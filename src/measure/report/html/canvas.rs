//! A plot: plotters draws axes and lines; the marks, which have tooltips, lie above them.

use super::axis::Axis;
use super::figure::escape;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Write;
use std::ops::Range;

/// Okabe and Ito's colours, which colour-blind readers tell apart ("Color universal design", 2008).
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
pub(super) const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
pub(super) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
pub(super) const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
pub(super) const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);

/// The colours of lettering, axes and grid. The page's style sheet finds both by value and replaces them in the dark.
pub(super) const INK: RGBColor = RGBColor(0x3D, 0x44, 0x4D);
const GRID: RGBColor = RGBColor(0xDF, 0xE3, 0xE8);

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// The canvas of a plot. Coordinates are values, not positions.
pub(super) struct Canvas<'a> {
    chart: Chart<'a>,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pixels: (Range<i32>, Range<i32>),
    above: String,
    /// The areas of words and discs.
    taken: Vec<Area>,
}

/// A line's pattern.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pattern {
    Solid,
    Dashed,
}

/// Formats a colour: `#0072B2`.
pub(super) fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Returns an SVG element of `size` pixels. `title` describes the plot in words.
pub(super) fn plot(title: &str, size: (u32, u32), x: &Axis, y: &Axis, draw: impl FnOnce(&mut Canvas)) -> String {
    let mut svg = String::new();
    let above = {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let mut canvas = Canvas::on(&root, x, y);
        draw(&mut canvas);
        done(root.present());
        canvas.above
    };
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", escape(title)), 1);
    svg.replace("</svg>", &format!("{above}</svg>"))
}

/// Unwraps the result of drawing: an SVG in memory takes any drawing.
fn done<T, E: std::fmt::Debug>(drawn: Result<T, E>) -> T {
    drawn.expect("a string takes all of a drawing")
}

impl<'a> Canvas<'a> {
    fn on(root: &DrawingArea<SVGBackend<'a>, Shift>, x: &'a Axis, y: &'a Axis) -> Canvas<'a> {
        let mut builder = ChartBuilder::on(root);
        builder.margin_top(12).margin_right(28).margin_bottom(4).margin_left(4);
        builder.x_label_area_size(46).y_label_area_size(64);
        let mut chart = done(builder.build_cartesian_2d(x.clone(), y.clone()));
        let style = ("sans-serif", 15).with_color(INK);
        let (x_label, y_label) = (|place: &f64| x.label(*place), |place: &f64| y.label(*place));
        let mut mesh = chart.configure_mesh();
        mesh.bold_line_style(GRID).light_line_style(TRANSPARENT).axis_style(INK).label_style(style);
        mesh.x_label_formatter(&x_label).y_label_formatter(&y_label).x_desc(&x.title).y_desc(&y.title);
        done(mesh.draw());
        let pixels = chart.plotting_area().get_pixel_range();
        Canvas { chart, x, y, pixels, above: String::new(), taken: Vec::new() }
    }

    /// Returns the position of a value in pixels.
    fn pixel(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |axis: &Axis, value| axis.part(axis.at(value));
        let (across, down) = (&self.pixels.0, &self.pixels.1);
        let width = f64::from(across.end - across.start);
        let height = f64::from(down.end - down.start);
        (f64::from(across.start) + part(self.x, x) * width, f64::from(down.end) - part(self.y, y) * height)
    }

    /// Draws a line through points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: RGBColor, width: u32, pattern: Pattern) {
        let places: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (self.x.at(x), self.y.at(y))).collect();
        let style = colour.stroke_width(width);
        if pattern == Pattern::Dashed {
            done(self.chart.draw_series(DashedLineSeries::new(places, 6, 4, style)));
        } else {
            done(self.chart.draw_series(LineSeries::new(places, style)));
        }
    }

    /// Draws a rectangle between two corners.
    pub(super) fn bar(&mut self, from: (f64, f64), to: (f64, f64), colour: RGBColor, tip: &str) {
        let ((x0, y0), (x1, y1)) = (self.pixel(from.0, from.1), self.pixel(to.0, to.1));
        let (x, y, width, height) = (x0.min(x1), y0.min(y1), (x1 - x0).abs(), (y1 - y0).abs());
        self.mark(&format!(r#"rect x="{x:.1}" y="{y:.1}" width="{width:.2}" height="{height:.1}""#), colour, 1.0, tip);
    }

    /// Draws a bar from one height to another, `width` pixels wide.
    pub(super) fn whisker(&mut self, x: f64, y: [f64; 2], width: f64, colour: RGBColor, tip: &str) {
        let ((x, bottom), (_, top)) = (self.pixel(x, y[0]), self.pixel(x, y[1]));
        let (left, height) = (x - width / 2.0, bottom - top);
        let shape = format!(r#"rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}""#);
        self.mark(&shape, colour, 0.45, tip);
    }

    /// Draws a disc with a radius in pixels.
    pub(super) fn disc(&mut self, (x, y): (f64, f64), radius: f64, colour: RGBColor, tip: &str) {
        let (x, y) = self.pixel(x, y);
        let shape = format!(r#"circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}""#);
        self.mark(&shape, colour, 0.85, tip);
        self.taken.push(Area { middle: (x, y), width: 2.0 * radius, height: 2.0 * radius });
    }

    fn mark(&mut self, shape: &str, colour: RGBColor, opacity: f64, tip: &str) {
        let (colour, tip, name) = (hex(colour), escape(tip), shape.split(' ').next().unwrap_or_default());
        let written =
            writeln!(self.above, r#"<{shape} fill="{colour}" opacity="{opacity}"><title>{tip}</title></{name}>"#);
        done(written);
    }

    /// Writes words that end `shift` pixels left of a value and above it.
    pub(super) fn text(&mut self, (x, y): (f64, f64), shift: (f64, f64), text: &str) {
        let (x, y) = self.pixel(x, y);
        let area = Area::around(text);
        self.write(area.at((x - shift.0 - area.width / 2.0, y - shift.1 - area.height / 2.0)), text);
    }

    /// Writes words beside a disc in a free area: near it, or further away at the end of a line. No room, no words.
    pub(super) fn label(&mut self, (x, y): (f64, f64), radius: f64, text: &str) {
        let (x, y) = self.pixel(x, y);
        let area = Area::around(text);
        let diagonal = 0.5_f64.sqrt();
        let straight = [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)];
        let oblique = [(diagonal, -diagonal), (diagonal, diagonal), (-diagonal, diagonal), (-diagonal, -diagonal)];
        let within = Area::between(&self.pixels.0, &self.pixels.1);
        for far in 0..8 {
            let distance = radius + 2.0 + 14.0 * f64::from(far);
            for (right, down) in straight.into_iter().chain(oblique) {
                let end = (x + right * distance, y + down * distance);
                let place = area.at((end.0 + right * area.width / 2.0, end.1 + down * area.height / 2.0));
                if !within.holds(&place) || self.taken.iter().any(|other| other.overlaps(&place)) {
                    continue;
                }
                if far > 0 {
                    let (ink, (to_x, to_y)) = (hex(INK), end);
                    let line =
                        format!(r#"<line x1="{x:.1}" y1="{y:.1}" x2="{to_x:.1}" y2="{to_y:.1}" stroke="{ink}"/>"#);
                    done(writeln!(self.above, "{line}"));
                }
                return self.write(place, text);
            }
        }
    }

    fn write(&mut self, place: Area, text: &str) {
        let ((x, y), ink, text) = (place.middle, hex(INK), escape(text));
        let style = format!(r#"font-family="sans-serif" font-size="12" text-anchor="middle" fill="{ink}""#);
        done(writeln!(self.above, r#"<text x="{x:.1}" y="{:.1}" {style}>{text}</text>"#, y + 4.0));
        self.taken.push(place);
    }
}

/// The area of a drawn thing, in pixels.
#[derive(Clone, Copy)]
struct Area {
    middle: (f64, f64),
    width: f64,
    height: f64,
}

impl Area {
    /// Returns an area that is about as large as words.
    fn around(text: &str) -> Area {
        Area { middle: (0.0, 0.0), width: 7.0 * text.chars().count() as f64 + 2.0, height: 13.0 }
    }

    fn between(across: &Range<i32>, down: &Range<i32>) -> Area {
        let (width, height) = (f64::from(across.end - across.start), f64::from(down.end - down.start));
        let middle = (f64::from(across.start) + width / 2.0, f64::from(down.start) + height / 2.0);
        Area { middle, width, height }
    }

    fn at(self, middle: (f64, f64)) -> Area {
        Area { middle, ..self }
    }

    fn overlaps(&self, other: &Area) -> bool {
        2.0 * (self.middle.0 - other.middle.0).abs() < self.width + other.width
            && 2.0 * (self.middle.1 - other.middle.1).abs() < self.height + other.height
    }

    fn holds(&self, other: &Area) -> bool {
        2.0 * (self.middle.0 - other.middle.0).abs() < self.width - other.width
            && 2.0 * (self.middle.1 - other.middle.1).abs() < self.height - other.height
    }
}
