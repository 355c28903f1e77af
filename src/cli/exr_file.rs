//! EXR files: the channels of an image among those of all layers.

use super::pixel_file::{MOST_BYTES, MOST_SIDE, PixelFile};
use exr::prelude::{FlatSamples, ReadChannels, ReadLayers, read};
use std::io::Cursor;

/// The image of a file that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Color,
    Albedo,
    Normal,
}

impl Role {
    /// Returns the word in the names of layers that hold such an image.
    fn word(self) -> Option<&'static str> {
        match self {
            Role::Color => None,
            Role::Albedo => Some("albedo"),
            Role::Normal => Some("normal"),
        }
    }
}

/// A part of a file: its name, and the names of its channels.
struct Part {
    name: String,
    channels: Vec<String>,
}

/// Channels that are an image: their part, their prefix, and their indices there. The fourth one is alpha.
#[derive(Debug, PartialEq)]
struct Found {
    part: usize,
    prefix: String,
    channels: Vec<usize>,
}

/// Reads an image from the bytes of an EXR file: R, G and B, for normals also X, Y and Z, each with a prefix or without one;
/// or the only channel as grey.
pub(super) fn read_exr(bytes: &[u8], role: Role) -> Result<PixelFile, String> {
    let reader = exr::block::read(Cursor::new(bytes), false).map_err(|error| error.to_string())?;
    let headers = reader.headers();
    let names = |header: &exr::meta::header::Header| Part {
        name: header.own_attributes.layer_name.as_ref().map(ToString::to_string).unwrap_or_default(),
        channels: header.channels.list.iter().map(|channel| channel.name.to_string()).collect(),
    };
    let found = find(&headers.iter().map(names).collect::<Vec<_>>(), role)?;
    let (shown, own) = (headers[found.part].shared_attributes.display_window, &headers[found.part].own_attributes);
    let (size, offset) = ([shown.size.0, shown.size.1], own.layer_position - shown.position);
    if size.iter().any(|side| *side > MOST_SIDE as usize) {
        return Err(format!("wanted sides of at most {MOST_SIDE} pixels, got {} x {}", size[0], size[1]));
    }
    let area = |header: &exr::meta::header::Header| header.layer_size.0 as u128 * header.layer_size.1 as u128;
    let all: u128 = headers.iter().map(|header| area(header) * header.channels.list.len() as u128).sum();
    if 4 * all + 16 * (size[0] * size[1]) as u128 > u128::from(MOST_BYTES) {
        return Err(format!("wanted at most {MOST_BYTES} bytes of pixels in all channels, got {}", 4 * all));
    }

    let layers = read().no_deep_data().largest_resolution_level().all_channels().all_layers().all_attributes();
    let image = layers.non_parallel().from_chunks(reader).map_err(|error| error.to_string())?;
    let layer = &image.layer_data[found.part];
    let channels = if found.channels.len() == 1 || found.channels.len() == 3 { 3 } else { 4 };
    let mut values = vec![0.0; size[0] * size[1] * channels];
    for c in 0..channels {
        // Of a grey image with alpha, the channels are [grey, alpha].
        let from = match found.channels.len() {
            1 | 2 => found.channels[c / 3],
            _ => found.channels[c],
        };
        let samples = &layer.channel_data.list[from].sample_data;
        for y in 0..layer.size.1 {
            let row = usize::try_from(y as i64 + i64::from(offset.1)).ok().filter(|row| *row < size[1]);
            let Some(row) = row else { continue };
            for x in 0..layer.size.0 {
                let column = usize::try_from(x as i64 + i64::from(offset.0)).ok().filter(|column| *column < size[0]);
                let Some(column) = column else { continue };
                values[(row * size[0] + column) * channels + c] = number(samples, y * layer.size.0 + x);
            }
        }
    }
    Ok(PixelFile { size, channels, values, is_png: false })
}

fn number(samples: &FlatSamples, i: usize) -> f32 {
    match samples {
        FlatSamples::F16(values) => values[i].to_f32(),
        FlatSamples::F32(values) => values[i],
        FlatSamples::U32(values) => values[i] as f32,
    }
}

/// Returns the channels for a role: those whose part or prefix has its name, else those without a prefix in the first part
/// that has such, else the only ones.
fn find(parts: &[Part], role: Role) -> Result<Found, String> {
    let mut all = Vec::new();
    for (part, Part { channels, .. }) in parts.iter().enumerate() {
        let mut prefixes: Vec<&str> = channels.iter().map(|name| split(name).0).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let of_prefix = |prefix: &str| {
            let channels = of_letters(channels, prefix, role)?;
            Some(Found { part, prefix: prefix.to_owned(), channels })
        };
        all.extend(prefixes.into_iter().filter_map(of_prefix));
    }
    let named = |found: &Found| {
        let names = [&parts[found.part].name, &found.prefix].map(|name| name.to_lowercase());
        role.word().is_some_and(|word| names.iter().any(|name| name.contains(word)))
    };
    let place = all.iter().position(named).or_else(|| all.iter().position(|found| found.prefix.is_empty()));
    match place {
        Some(i) => Ok(all.swap_remove(i)),
        None if all.len() == 1 => Ok(all.swap_remove(0)),
        None => {
            let letters = if role == Role::Normal { "R, G, B or X, Y, Z" } else { "R, G, B, or only one" };
            let names: Vec<&str> = parts.iter().flat_map(|part| &part.channels).map(String::as_str).collect();
            Err(format!("wanted the channels {letters}, got {}", names.join(", ")))
        }
    }
}

/// Returns the prefix of a channel's name, with the last dot, and the rest.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('.').map_or(0, |dot| dot + 1))
}

/// Returns the indices of the channels of an image under a prefix.
fn of_letters(channels: &[String], prefix: &str, role: Role) -> Option<Vec<usize>> {
    let at = |letter: &str| {
        let is = |name: &String| {
            let (start, rest) = split(name);
            start == prefix && rest.eq_ignore_ascii_case(letter)
        };
        channels.iter().position(is)
    };
    let three = |letters: [&str; 3]| letters.into_iter().map(at).collect::<Option<Vec<usize>>>();
    let alpha = at("A");
    let colors = three(["R", "G", "B"]).map(|colors| colors.into_iter().chain(alpha).collect());
    match role {
        Role::Normal => colors.or_else(|| three(["X", "Y", "Z"])),
        // One channel, and perhaps alpha.
        Role::Color | Role::Albedo => colors.or_else(|| {
            let others: Vec<usize> = (0..channels.len()).filter(|i| Some(*i) != alpha).collect();
            (others.len() == 1).then(|| others.into_iter().chain(alpha).collect())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, channels: &str) -> Part {
        Part { name: name.into(), channels: channels.split(' ').map(String::from).collect() }
    }

    #[test]
    fn channels_are_found_by_their_names() {
        use Role::{Albedo, Color, Normal};
        let layers = "A B G R albedo.B albedo.G albedo.R depth.Z normal.X normal.Y normal.Z";
        for (channels, role, prefix, wanted) in [
            ("A B G R", Color, "", &[3, 2, 1, 0][..]),
            ("B G R", Normal, "", &[2, 1, 0]),
            ("X Y Z", Normal, "", &[0, 1, 2]),
            ("Denoising.x Denoising.y Denoising.z", Normal, "Denoising.", &[0, 1, 2]),
            ("Y", Color, "", &[0]),
            ("A Y", Albedo, "", &[1, 0]),
            (layers, Color, "", &[3, 2, 1, 0]),
            (layers, Albedo, "albedo.", &[6, 5, 4]),
            (layers, Normal, "normal.", &[8, 9, 10]),
        ] {
            let found = find(&[part("", channels)], role).expect(channels);
            assert_eq!((found.prefix.as_str(), &found.channels[..]), (prefix, wanted), "{channels}");
        }
        let parts = [part("beauty", "B G R"), part("first normal", "X Y Z"), part("Albedo", "B G R")];
        for (role, wanted) in [(Color, 0), (Normal, 1), (Albedo, 2)] {
            assert_eq!(find(&parts, role).expect("it is there").part, wanted);
        }
        for (channels, role) in
            [("X Y Z", Color), ("BY RY Y", Color), ("Y", Normal), ("a.B a.G a.R b.B b.G b.R", Color)]
        {
            let problem = find(&[part("", channels)], role).unwrap_err();
            assert!(problem.contains(&format!("got {}", channels.replace(' ', ", "))), "{problem}");
        }
    }
}
