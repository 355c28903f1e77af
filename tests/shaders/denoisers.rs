//! The denoiser's graphs, with a small network.

#[path = "../denoise/tiny.rs"]
mod tiny;

use shadernet::denoise::{Archive, Content, DenoiserOptions};
use shadernet::{Graph, Precision};

/// Returns the denoiser's graphs for each content, without guides and with them.
pub(crate) fn graphs() -> Vec<(String, Graph)> {
    let all = Content::ALL.into_iter().flat_map(|content| (1..=3).map(move |images| (content, images)));
    let graph = |(content, images): (Content, usize)| {
        let bytes = tiny::Tiny { large: false, images, channels: [4; 5] }.bytes();
        let archive = Archive::from_bytes("tiny.tza", bytes).unwrap_or_else(|error| panic!("{error}"));
        // Only colors have guides.
        let mut graph = DenoiserOptions::new(content, archive).graph([33, 20]).ok()?;
        // The tests set the precision, as for other graphs.
        graph.set_precision(Precision::F32);
        Some((format!("denoiser of {content}, {images} images"), graph))
    };
    let graphs: Vec<_> = all.filter_map(graph).collect();
    assert_eq!(graphs.len(), 7 + 2 * 3);
    graphs
}
