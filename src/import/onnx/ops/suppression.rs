//! Selection of boxes, which the host does: the size of the result depends on the values.

use crate::error::{ErrorKind, Result};
use crate::import::onnx::builder::{Builder, Import};
use crate::import::onnx::element::ElementType;
use crate::import::onnx::node::{Node, Operand};
use crate::import::onnx::tensor::{Tensor, foldable};

pub(super) fn find(op: &str) -> Option<Import> {
    (op == "NonMaxSuppression").then_some(non_max_suppression)
}

/// The most comparisons of boxes in a frame, some seconds. A detector's 25,000 boxes of 80 classes take 2^26 if a thousand
/// of each class are above the threshold.
const MOST: u64 = 1 << 32;

fn non_max_suppression(b: &mut Builder, node: &Node) -> Result<Vec<Operand>> {
    let (boxes, scores) = (node.input(0)?, node.input(1)?);
    let number = |place: usize, name: &str| -> Result<Option<f64>> {
        let Some(operand) = node.optional(place) else { return Ok(None) };
        let tensor = b.known(name, operand)?;
        let wrong = || node.refused(name, "one number", &tensor.shape);
        tensor.number().map(Some).ok_or_else(wrong)
    };
    let most = number(2, "max_output_boxes_per_class")?.unwrap_or(0.0).max(0.0) as usize;
    let (limit, least) = (number(3, "iou_threshold")?.unwrap_or(0.0) as f32, number(4, "score_threshold")?);
    let centred = node.flag("center_point_box", false)?;
    let (&[batch, count, 4], &[n, classes, m]) = (&b.shape(boxes)[..], &b.shape(scores)[..]) else {
        let got = format!("{} and {}", b.shape(boxes), b.shape(scores));
        return Err(node.refused("boxes, scores", "[B, N, 4] and [B, C, N]", got));
    };
    if [n, m] != [batch, count] {
        return Err(node.refused("scores", &format!("[{batch}, C, {count}]"), b.shape(scores)));
    }
    foldable(&[batch, classes.max(1), count.max(4)].into())?;
    let rules = Rules { most, limit, least, centred };
    let chosen = move |inputs: &[&Tensor]| {
        let (corners, scores) = (inputs[0].constant()?.values(), inputs[1].constant()?.values());
        let chosen = rules.chosen(&corners, &scores, [classes, count])?;
        Ok(vec![Tensor::ints(ElementType::I64, [chosen.len() / 3, 3], chosen)])
    };
    b.on_host(node, &[("boxes", boxes), ("scores", scores)], &[ElementType::I64], chosen)
}

/// The attributes of a selection of boxes.
struct Rules {
    /// The most boxes of each class.
    most: usize,
    /// The largest part of two chosen boxes that is common.
    limit: f32,
    /// The score that all chosen boxes exceed.
    least: Option<f64>,
    /// True if boxes are centres and sizes.
    centred: bool,
}

impl Rules {
    /// Returns batch, class and box of the best boxes of each class, without those that overlap with a better one.
    fn chosen(&self, corners: &[f32], scores: &[f32], [classes, count]: [usize; 2]) -> Result<Vec<i64>, ErrorKind> {
        let corners: Vec<[f32; 4]> = corners.as_chunks().0.iter().map(|&of| sorted(of, self.centred)).collect();
        let (mut chosen, mut left) = (Vec::new(), MOST);
        for (i, scores) in scores.chunks(count.max(1)).enumerate() {
            let (image, class) = (i / classes.max(1), i % classes.max(1));
            let mut candidates: Vec<usize> = (0..scores.len()).collect();
            // A score of NaN exceeds nothing.
            candidates.retain(|&place| self.least.is_none_or(|least| f64::from(scores[place]) > least));
            // The first of equal boxes is the better one.
            candidates.sort_by(|&a, &c| scores[c].total_cmp(&scores[a]));
            let mut best: Vec<[f32; 4]> = Vec::new();
            for place in candidates {
                if best.len() >= self.most {
                    break;
                }
                left = left.checked_sub(best.len() as u64).ok_or_else(|| {
                    let wanted = "a score_threshold or a max_output_boxes_per_class that leaves fewer";
                    ErrorKind::argument("boxes", wanted, format_args!("more than {MOST} comparisons"))
                })?;
                let corners = corners[image * count + place];
                if best.iter().all(|&better| overlap(better, corners) <= self.limit) {
                    best.push(corners);
                    chosen.extend([image as i64, class as i64, place as i64]);
                }
            }
        }
        Ok(chosen)
    }
}

/// Returns the lower and the upper corner of a box: of two corners in any order, or of its centre and its size.
fn sorted([a, b, c, d]: [f32; 4], centred: bool) -> [f32; 4] {
    match centred {
        true => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        false => [a.min(c), b.min(d), a.max(c), b.max(d)],
    }
}

/// Returns the common area of two boxes as a part of the area that they cover, 0 for empty ones.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[top, left, bottom, right]: [f32; 4]| (bottom - top) * (right - left);
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let common = side(0) * side(1);
    if common <= 0.0 { 0.0 } else { common / (area(a) + area(b) - common) }
}
