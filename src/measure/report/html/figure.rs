//! Numbers, formatted for people.

use std::fmt::Display;
use std::time::Duration;

/// Formats three significant digits: `0.0123`, `1.23`, `12.3`, `123`, `12,300`. A dash if the number isn't finite.
pub(super) fn figure(number: f64) -> String {
    if !number.is_finite() {
        return "–".into();
    }
    let exponent = if number == 0.0 { 0 } else { number.abs().log10().floor() as i32 };
    match exponent {
        i32::MIN..=-5 => format!("{number:.2e}"),
        -4..=2 => {
            let text = format!("{number:.*}", (2 - exponent) as usize);
            // 9.996 is 10.0, not 10.00.
            let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|&digit| digit == b'0').count();
            if digits > 3 && exponent < 2 { text[..text.len() - 1].trim_end_matches('.').to_owned() } else { text }
        }
        3..=14 => {
            let unit = 10_f64.powi(exponent - 2);
            let rounded = ((number / unit).round() * unit).round();
            format!("{}{}", if number < 0.0 { "−" } else { "" }, count(rounded.abs() as u64))
        }
        _ => format!("{number:.2e}"),
    }
}

/// Formats a number for an axis, without zeros at the end.
pub(super) fn tick(number: f64) -> String {
    let text = figure(number);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Formats 1234567 as 1,234,567.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number with an SI prefix: `1.23 TFLOP/s`.
pub(super) fn si(number: f64, unit: &str) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (scale, prefix) = prefixes.into_iter().find(|(scale, _)| number >= *scale).unwrap_or((1.0, ""));
    format!("{} {prefix}{unit}", figure(number / scale))
}

/// Returns the largest unit of bytes in which `most` is 1 or more: its size in bytes and its name.
pub(super) fn byte_unit(most: u64) -> (f64, &'static str) {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let found = units.into_iter().find(|(shift, _)| most >= 1 << shift);
    found.map_or((1.0, "B"), |(shift, unit)| (f64::from(1 << shift), unit))
}

/// Formats bytes: `1.23 MiB`.
pub(super) fn bytes(number: u64) -> String {
    let (scale, unit) = byte_unit(number);
    format!("{} {unit}", figure(number as f64 / scale))
}

pub(super) fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", 100.0 * share) } else { "–".into() }
}

/// Escapes text for HTML and its attributes. Every name that may come from a file goes through here.
pub(super) fn escape(text: impl Display) -> String {
    let mut escaped = String::new();
    for c in text.to_string().chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // A document must not hold control characters, not even escaped.
            c if c.is_control() && !c.is_whitespace() => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_significant_digits() {
        for (number, expected) in [
            (0.0, "0.00"),
            (0.012_345, "0.0123"),
            (1.0, "1.00"),
            (9.996, "10.0"),
            (0.099_96, "0.100"),
            (99.96, "100"),
            (123.4, "123"),
            (999.6, "1000"),
            (12_345.0, "12,300"),
            (1_234_567.0, "1,230,000"),
            (1.5e-7, "1.50e-7"),
            (1e300, "1.00e300"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(figure(number), expected, "{number}");
        }
        assert_eq!([0.5, 10.0, 200.0, 0.02].map(tick), ["0.5", "10", "200", "0.02"]);
        assert_eq!((si(1.234e12, "FLOP/s"), si(5.0, "B/s")), ("1.23 TFLOP/s".into(), "5.00 B/s".into()));
        assert_eq!((bytes(0), bytes(1536), bytes(3 << 30)), ("0.00 B".into(), "1.50 KiB".into(), "3.00 GiB".into()));
    }

    #[test]
    fn nothing_stays_that_could_close_an_element() {
        assert_eq!(escape("</script><b x='\"&\u{1b}"), "&lt;/script&gt;&lt;b x=&#39;&quot;&amp;\u{FFFD}");
    }
}
