//! Inputs given as numbers on the command line.

use shadernet::import::onnx::{Size, ValueInfo};
use shadernet::{DType, Data, ErrorKind, Result, Shape, Tensor};

/// The most numbers that `zeros`, `ones` or one number stand for.
pub(super) const MOST_NUMBERS: usize = 1 << 28;

/// Returns the tensor of numbers with commas between them, or of one number everywhere. An open first size of several is
/// the batch, 1. Numbers tell the one size that is open then.
pub(super) fn numbers(text: &str, numbers: &str, input: &ValueInfo) -> Result<Tensor> {
    let argument = || format!("--input {}", input.name);
    let texts: Vec<&str> = numbers.split(',').map(str::trim).collect();
    let wrong = || {
        let wanted = format!("a file that exists, zeros, ones, or numbers of {} with commas", input.element);
        ErrorKind::argument(argument(), wanted, format!("\"{text}\""))
    };
    fn parsed<T: std::str::FromStr>(texts: &[&str]) -> Option<Vec<T>> {
        texts.iter().map(|text| text.parse().ok()).collect()
    }
    let truth = |text: &&str| match *text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    };
    let data = match input.element.dtype() {
        Some(DType::F32) => parsed(&texts).map(Data::F32),
        Some(DType::I32) => parsed(&texts).map(Data::I32),
        Some(DType::Bool) => texts.iter().map(truth).collect::<Option<Vec<_>>>().map(Data::Bool),
        None => None,
    };
    let data = data.ok_or_else(wrong)?;
    let count = texts.len();
    let everywhere = text != numbers;
    let mut sizes = input.sizes.clone().unwrap_or_else(|| vec![Size::Fixed(count)]);
    if let [batch @ Size::Named(_), _, ..] = &mut sizes[..] {
        *batch = Size::Fixed(1);
    }
    let fixed = || sizes.iter().filter_map(Size::fixed);
    let known: Option<usize> = fixed().try_fold(1, |product: usize, size| product.checked_mul(size));
    let open = sizes.len() - fixed().count();
    let told = match known {
        Some(known) if known > 0 && count.is_multiple_of(known) => Some(count / known),
        _ => None,
    };
    let size = |size: &Size| match size {
        Size::Fixed(size) => Some(*size),
        Size::Named(_) => told.filter(|_| open == 1 && !everywhere),
    };
    let shape: Option<Vec<usize>> = sizes.iter().map(size).collect();
    let missing = || {
        let open: Vec<String> = sizes.iter().filter_map(Size::open).map(|name| format!("--dim {name}=SIZE")).collect();
        let wanted = if everywhere { "known sizes" } else { "at most one open size" };
        ErrorKind::argument(argument(), format!("{wanted}: {}", open.join(" ")), input)
    };
    let shape = Shape::from(shape.ok_or_else(missing)?);
    let elements = shape.iter().try_fold(1, |product: usize, &size| product.checked_mul(size));
    let elements = elements.filter(|&elements| elements <= MOST_NUMBERS);
    let elements = elements.ok_or_else(|| ErrorKind::argument(argument(), "2^28 numbers at most", &shape))?;
    if count == 1 && elements != 1 {
        return Tensor::new(shape, repeated(data, elements));
    }
    if elements != count {
        return Err(ErrorKind::argument(argument(), format!("{elements} numbers for {shape}, or one"), count).into());
    }
    Tensor::new(shape, data)
}

fn repeated(data: Data, count: usize) -> Data {
    match data {
        Data::F32(values) => Data::F32(values.repeat(count)),
        Data::I32(values) => Data::I32(values.repeat(count)),
        Data::Bool(values) => Data::Bool(values.repeat(count)),
    }
}
