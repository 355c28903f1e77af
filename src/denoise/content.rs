//! The rules of Open Image Denoise's filters: which transfer function an image has, and which weights.

use crate::error::ErrorKind;
use std::fmt;
use std::str::FromStr;

/// The content of the image to denoise. It decides the transfer function, the range of the numbers, and the weights.
///
/// These are the modes of Open Image Denoise's filters RT and RTLightmap. Source: `newTransferFunc` and `getWeights` in
/// `core/rt_filter.cpp`, `core/rtlightmap_filter.cpp` and `core/unet_filter.cpp` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// RT, `hdr`: linear colors from 0 on, of any brightness; PU2
    Hdr,
    /// RT: linear colors in 0..1; sRGB's curve
    Ldr,
    /// RT, `srgb`: colors in 0..1, encoded as sRGB already or in a similar way; linear
    Srgb,
    /// RT of an albedo alone, to be a cleaner guide: linear colors in 0..1; sRGB's curve
    Albedo,
    /// RT of normals alone, to be cleaner guides: vectors in -1..1; linear
    Normal,
    /// RTLightmap: linear irradiance from 0 on; logarithmic
    Lightmap,
    /// RTLightmap, `directional`: the coefficients of directions, in -1..1; linear
    Directional,
}

/// The transfer function, by its code in `shaders/lib/transfer.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    Linear = 0,
    Srgb = 1,
    Pu = 2,
    Log = 3,
}

impl Transfer {
    /// Returns the encoded 65504, the largest `f16`, by which the unbounded functions are divided; 1 for the others.
    pub(super) fn largest(self) -> f32 {
        const LARGEST: f64 = 65504.0;
        match self {
            Transfer::Linear | Transfer::Srgb => 1.0,
            Transfer::Pu => (0.192653254 * (LARGEST + 0.00626026094).ln() + 0.998620152) as f32,
            Transfer::Log => (LARGEST + 1.0).ln() as f32,
        }
    }
}

impl Content {
    /// All kinds of content.
    pub const ALL: [Content; 7] = [
        Content::Hdr,
        Content::Ldr,
        Content::Srgb,
        Content::Albedo,
        Content::Normal,
        Content::Lightmap,
        Content::Directional,
    ];

    pub(super) fn transfer(self) -> Transfer {
        match self {
            Content::Hdr => Transfer::Pu,
            Content::Ldr | Content::Albedo => Transfer::Srgb,
            Content::Srgb | Content::Normal | Content::Directional => Transfer::Linear,
            Content::Lightmap => Transfer::Log,
        }
    }

    /// Returns true for numbers of any size, whose exposure is measured.
    pub(super) fn is_hdr(self) -> bool {
        matches!(self, Content::Hdr | Content::Lightmap)
    }

    /// Returns true for numbers in -1..1.
    pub(super) fn is_signed(self) -> bool {
        matches!(self, Content::Normal | Content::Directional)
    }

    /// Returns true if the network may have guides.
    pub(super) fn takes_guides(self) -> bool {
        matches!(self, Content::Hdr | Content::Ldr | Content::Srgb)
    }

    /// Returns the name of Open Image Denoise's weights for such an image with these guides, without `.tza`: its choice
    /// for a quality. `None` if there are none for such a combination.
    pub fn weights(self, guides: Guides, quality: Quality) -> Option<String> {
        let range = match self {
            Content::Hdr => Some("rt_hdr"),
            Content::Ldr | Content::Srgb => Some("rt_ldr"),
            _ => None,
        };
        let name = match (range, self) {
            (Some(range), _) => match guides {
                Guides::None => range.into(),
                Guides::Albedo => format!("{range}_alb"),
                Guides::AlbedoNormal => format!("{range}_alb_nrm"),
                Guides::CleanAlbedoNormal => format!("{range}_calb_cnrm"),
            },
            _ if guides != Guides::None => return None,
            (None, Content::Albedo) => "rt_alb".into(),
            (None, Content::Normal) => "rt_nrm".into(),
            (None, Content::Directional) => "rtlightmap_dir".into(),
            (None, _) => "rtlightmap_hdr".into(),
        };
        let has_large = ["rt_hdr_calb_cnrm", "rt_alb", "rt_nrm"].contains(&name.as_str());
        Some(match quality {
            Quality::High if has_large => name + "_large",
            Quality::Fast if range.is_some() => name + "_small",
            _ => name,
        })
    }
}

/// The further images that guide a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guides {
    /// None.
    None,
    /// The albedo of what is seen.
    Albedo,
    /// Its albedo and its normals.
    AlbedoNormal,
    /// Its albedo and its normals without noise, such as denoised ones: `cleanAux`.
    CleanAlbedoNormal,
}

/// The size of the network, by Open Image Denoise's names for its choice of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quality {
    /// The large network, where there is one.
    #[default]
    High,
    /// The base network.
    Balanced,
    /// The small network, where there is one.
    Fast,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Content::Hdr => "hdr",
            Content::Ldr => "ldr",
            Content::Srgb => "srgb",
            Content::Albedo => "albedo",
            Content::Normal => "normal",
            Content::Lightmap => "lightmap",
            Content::Directional => "directional",
        })
    }
}

impl FromStr for Content {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Content, ErrorKind> {
        let names = Content::ALL.map(|content| content.to_string()).join(", ");
        let of = Content::ALL.into_iter().find(|content| content.to_string() == text);
        of.ok_or_else(|| ErrorKind::argument("content", names, text))
    }
}

impl FromStr for Quality {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Quality, ErrorKind> {
        match text {
            "high" => Ok(Quality::High),
            "balanced" => Ok(Quality::Balanced),
            "fast" => Ok(Quality::Fast),
            _ => Err(ErrorKind::argument("quality", "high, balanced or fast", text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_those_that_open_image_denoise_has() {
        let guides = [Guides::None, Guides::Albedo, Guides::AlbedoNormal, Guides::CleanAlbedoNormal];
        let qualities = [Quality::High, Quality::Balanced, Quality::Fast];
        let all = Content::ALL.into_iter().flat_map(|content| {
            guides.into_iter().flat_map(move |of| qualities.into_iter().filter_map(move |q| content.weights(of, q)))
        });
        let all: std::collections::BTreeSet<String> = all.collect();
        assert_eq!(all.len(), 23, "{all:?}");
        for name in ["rt_hdr_calb_cnrm_large", "rt_ldr_calb_cnrm_small", "rt_nrm_large", "rtlightmap_dir", "rt_ldr"] {
            assert!(all.contains(name), "{name}");
        }
        assert_eq!(Content::Lightmap.weights(Guides::Albedo, Quality::Fast), None);
    }
}
