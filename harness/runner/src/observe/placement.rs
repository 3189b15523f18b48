//! Which reported image is which expected one, and where it lies.

use std::fmt::Write as _;

use harness_protocol::Image;
use harness_protocol::linked::ExpectedImage;

use crate::text::cut;

/// The images of a module with their places.
#[derive(Debug)]
pub(crate) struct Placement<'a> {
    reported: &'a [Image],
    images: Vec<Placed<'a>>,
}

/// An image that takes room in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) image: &'a ExpectedImage,
    pub(crate) base: u64,
}

impl Placed<'_> {
    /// The address after its last byte. It does not wrap around: [`Placement::new`] saw to that.
    pub(crate) fn end(&self) -> u64 {
        self.base.saturating_add(self.image.size)
    }
}

/// The name of the first image that has bytes and is not reported.
pub(crate) fn missing<'a>(expected: &'a [ExpectedImage], reported: &[Image]) -> Option<&'a str> {
    let is_missing =
        |image: &&ExpectedImage| image.size > 0 && find(reported, &image.name).is_none();
    expected.iter().find(is_missing).map(|image| image.name.as_str())
}

fn find<'a>(reported: &'a [Image], name: &str) -> Option<&'a Image> {
    reported.iter().find(|image| image.name == name)
}

impl<'a> Placement<'a> {
    /// Finds every expected image among the reported ones; in words, what does not fit.
    pub(crate) fn new(
        expected: &'a [ExpectedImage],
        reported: &'a [Image],
    ) -> Result<Self, String> {
        if let Some(name) = missing(expected, reported) {
            return Err(format!("image `{name}` is not reported"));
        }
        let mut images = Vec::new();
        for image in expected {
            let Some(found) = find(reported, &image.name) else { continue };
            if found.size != image.size {
                let (name, got, want) = (&image.name, found.size, image.size);
                return Err(format!("image `{name}` has {got} bytes, {want} were expected"));
            }
            if found.base.checked_add(found.size).is_none() {
                let (name, base) = (&image.name, found.base);
                return Err(format!("image `{name}` at {base:#x} reaches past the last address"));
            }
            if image.size > 0 {
                images.push(Placed { image, base: found.base });
            }
        }
        let unknown = |image: &&Image| {
            image.size > 0 && !expected.iter().any(|expected| expected.name == image.name)
        };
        if let Some(image) = reported.iter().find(unknown) {
            return Err(format!("the module has no image `{}`", cut(&image.name)));
        }
        let placement = Self { reported, images };
        placement.overlap().map_or(Ok(placement), Err)
    }

    /// The images that take room in memory.
    pub(crate) fn images(&self) -> &[Placed<'a>] {
        &self.images
    }

    /// Where an image lies, whether it takes room or not.
    pub(crate) fn base(&self, name: &str) -> Option<u64> {
        find(self.reported, name).map(|image| image.base)
    }

    /// Where every image lies, in words.
    pub(crate) fn bases(&self) -> String {
        let mut text = String::new();
        for placed in &self.images {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{} at {:#x}", placed.image.name, placed.base);
        }
        text
    }

    fn overlap(&self) -> Option<String> {
        let mut sorted: Vec<_> = self.images.iter().collect();
        sorted.sort_by_key(|placed| placed.base);
        let overlapping = sorted.windows(2).find(|pair| pair[1].base < pair[0].end())?;
        let (first, second) = (&overlapping[0].image.name, &overlapping[1].image.name);
        Some(format!("images `{first}` and `{second}` lie over each other: {}", self.bases()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn expected(sizes: &[(&str, u64)]) -> Vec<ExpectedImage> {
        let image = |(name, size): &(&str, u64)| ExpectedImage {
            name: (*name).into(),
            size: *size,
            pieces: Vec::new(),
            patches: Vec::new(),
            segments: Vec::new(),
        };
        sizes.iter().map(image).collect()
    }

    fn reported(images: &[(&str, u64, u64)]) -> Vec<Image> {
        let image = |(name, base, size): &(&str, u64, u64)| Image {
            name: (*name).into(),
            base: *base,
            size: *size,
            bytes: None,
        };
        images.iter().map(image).collect()
    }

    #[rstest]
    #[case::as_expected(&[("code", 0x1000, 8), ("data", 0x3000, 16)], None)]
    #[case::in_any_order(&[("data", 0x3000, 16), ("code", 0x1000, 8)], None)]
    #[case::empty_images_count_nothing(
        &[("code", 0x1000, 8), ("data", 0x3000, 16), ("none", 0, 0), ("other", 0, 0)], None)]
    #[case::missing(&[("code", 0x1000, 8)], Some("image `data` is not reported"))]
    #[case::too_long(&[("code", 0x1000, 9), ("data", 0x3000, 16)],
        Some("image `code` has 9 bytes, 8 were expected"))]
    #[case::one_too_many(&[("code", 0x1000, 8), ("data", 0x3000, 16), ("more", 0x5000, 1)],
        Some("the module has no image `more`"))]
    #[case::past_the_end(&[("code", u64::MAX - 3, 8), ("data", 0x3000, 16)],
        Some("image `code` at 0xfffffffffffffffc reaches past the last address"))]
    #[case::over_each_other(&[("code", 0x300f, 8), ("data", 0x3000, 16)],
        Some("images `data` and `code` lie over each other: code at 0x300f, data at 0x3000"))]
    fn images_are_found(#[case] images: &[(&str, u64, u64)], #[case] cause: Option<&str>) {
        let expected = expected(&[("code", 8), ("data", 16), ("none", 0)]);
        let reported = reported(images);
        let found = Placement::new(&expected, &reported);
        assert_eq!(found.as_ref().err().map(String::as_str), cause);
        if let Ok(placement) = found {
            assert_eq!(placement.base("data"), Some(0x3000));
            assert_eq!(placement.images().len(), 2);
        }
    }
}
