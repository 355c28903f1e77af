//! The drawings of a page: its plots as marks, words and pixels.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::roxmltree::{Document, Node};
use resvg::usvg::{Options, Tree};
use shadernet::measure::Report;

/// The page, which is XML except for its first line.
pub(crate) struct Page(pub(crate) String);

impl Page {
    pub(crate) fn of(report: &Report) -> Page {
        let html = report.to_html();
        Page(html.strip_prefix("<!DOCTYPE html>\n").expect("a document type").to_owned())
    }

    pub(crate) fn document(&self) -> Document<'_> {
        Document::parse(&self.0).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns the plots whose description begins with `title`.
    pub(crate) fn plots(&self, title: &str) -> Vec<Plot> {
        let document = self.document();
        let all = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
        let wanted = all.filter(|svg| svg.attribute("aria-label").expect("a description").starts_with(title));
        wanted.map(|svg| Plot::of(&self.0[svg.range()])).collect()
    }

    pub(crate) fn plot(&self, title: &str) -> Plot {
        let mut plots = self.plots(title);
        assert_eq!(plots.len(), 1, "{title}");
        plots.remove(0)
    }

    /// Returns the titles of the sections.
    pub(crate) fn sections(&self) -> Vec<String> {
        self.document().descendants().filter(|node| node.has_tag_name("h2")).map(text).collect()
    }
}

pub(crate) fn text(node: Node) -> String {
    node.descendants().filter_map(|node| if node.is_text() { node.text() } else { None }).collect()
}

/// A mark with a tooltip: its kind, its colour, its middle.
pub(crate) struct Mark {
    pub(crate) kind: String,
    pub(crate) colour: String,
    pub(crate) middle: (f64, f64),
    pub(crate) height: f64,
    pub(crate) tip: String,
}

pub(crate) struct Plot {
    marks: Vec<Mark>,
    pub(crate) labels: Vec<String>,
    pixels: Pixmap,
}

impl Plot {
    pub(crate) fn of(svg: &str) -> Plot {
        let document = Document::parse(svg).expect("XML");
        let tree = Tree::from_str(svg, &Options::default()).expect("SVG");
        let (width, height) = (tree.size().width() as u32, tree.size().height() as u32);
        let mut pixels = Pixmap::new(width, height).expect("some pixels");
        resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
        let labels = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
        let labels = labels.map(|label| text(label).trim().to_owned()).collect();
        let marks = document
            .descendants()
            .filter(|node| node.first_element_child().is_some_and(|child| child.tag_name().name() == "title"));
        let mark = |node: Node| {
            let get =
                |name: &str| -> f64 { node.attribute(name).map_or(0.0, |value| value.parse().expect("a number")) };
            let middle = match node.tag_name().name() {
                "circle" => (get("cx"), get("cy")),
                _ => (get("x") + get("width") / 2.0, get("y") + get("height") / 2.0),
            };
            Mark {
                kind: node.tag_name().name().into(),
                colour: node.attribute("fill").expect("a colour").into(),
                middle,
                height: get("height"),
                tip: text(node),
            }
        };
        Plot { marks: marks.map(mark).collect(), labels, pixels }
    }

    /// Returns the number of pixels of this colour, at any opacity.
    pub(crate) fn painted(&self, colour: [u8; 3]) -> usize {
        let near = |pixel: &&resvg::tiny_skia::PremultipliedColorU8| {
            let pixel = pixel.demultiply();
            let is = [pixel.red(), pixel.green(), pixel.blue()];
            pixel.alpha() > 90 && is.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 4)
        };
        self.pixels.pixels().iter().filter(near).count()
    }

    pub(crate) fn marks(&self, kind: &str) -> Vec<&Mark> {
        self.marks.iter().filter(|mark| mark.kind == kind).collect()
    }

    /// Checks that all marks lie within the picture, and that their pixels are painted.
    pub(crate) fn check(&self, what: &str) {
        let (width, height) = (f64::from(self.pixels.width()), f64::from(self.pixels.height()));
        for Mark { kind, middle: (x, y), tip, height: tall, .. } in &self.marks {
            assert!((0.0..width).contains(x) && (0.0..height).contains(y), "{what}: \"{tip}\" lies at {x}, {y}");
            let pixel = self.pixels.pixel(*x as u32, *y as u32).expect("within");
            assert!(pixel.alpha() > 0 || (kind == "rect" && *tall < 1.0), "{what}: nothing is painted for \"{tip}\"");
        }
        let letters = self.labels.iter().filter(|label| !label.is_empty()).count();
        assert!(letters >= 5, "{what}: {:?}", self.labels);
    }

    pub(crate) fn has(&self, labels: &[&str]) {
        for label in labels {
            assert!(self.labels.iter().any(|is| is == label), "{label} isn't among {:?}", self.labels);
        }
    }
}
