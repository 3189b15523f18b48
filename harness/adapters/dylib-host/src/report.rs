//! `struct blob_report` and what it must look like.

use std::ffi::CStr;
use std::ops::Range;

use harness_protocol::{Image, Stage};

/// `struct blob_report` of `blob_loader.h`.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct RawReport {
    pub(crate) rule: [u8; 64],
    pub(crate) offset: i64,
    pub(crate) message: [u8; 256],
    pub(crate) image_base: u64,
    pub(crate) image_size: u64,
}

impl RawReport {
    /// What the library is handed.
    pub(crate) fn blank() -> Self {
        Self { rule: [0; 64], offset: -1, message: [0; 256], image_base: 0, image_size: 0 }
    }
}

/// A report that says what its interface allows.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) rule: Option<String>,
    pub(crate) offset: Option<u64>,
    pub(crate) message: Option<String>,
    pub(crate) image: Option<Image>,
}

/// How the library broke its side of `blob_loader.h`.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Breach {
    #[error("blob_load returned {0}, which is no stage (0 to 6)")]
    Stage(i32),
    #[error("blob_load returned 6 (loaded) without a module")]
    NoModule,
    #[error("blob_load returned {0} and a module, which only belongs to 6 (loaded)")]
    UnexpectedModule(i32),
    #[error("report.{0} does not end with a NUL")]
    Unterminated(&'static str),
    #[error("report.{0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error("report.offset is {0}, neither an offset nor -1")]
    Offset(i64),
    #[error("report.image_base {base:#x} and image_size {size:#x} are no range of addresses")]
    Image { base: u64, size: u64 },
    #[error("blob_entry gave {entry:#x}, which is outside the image {start:#x}..{end:#x}")]
    Entry { entry: usize, start: usize, end: usize },
}

/// The stage behind a number of `enum blob_stage`.
pub(crate) fn stage(number: i32) -> Result<Stage, Breach> {
    let loadable = &Stage::ALL[..=6]; // the later ones are the host's to say
    let index = usize::try_from(number).map_err(|_| Breach::Stage(number))?;
    loadable.get(index).copied().ok_or(Breach::Stage(number))
}

impl TryFrom<&RawReport> for Report {
    type Error = Breach;

    fn try_from(raw: &RawReport) -> Result<Self, Breach> {
        Ok(Self {
            rule: text("rule", &raw.rule)?,
            offset: offset(raw.offset)?,
            message: text("message", &raw.message)?,
            image: image(raw)?,
        })
    }
}

fn text(field: &'static str, bytes: &[u8]) -> Result<Option<String>, Breach> {
    let text = CStr::from_bytes_until_nul(bytes).map_err(|_| Breach::Unterminated(field))?;
    let text = text.to_str().map_err(|_| Breach::NotUtf8(field))?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn offset(raw: i64) -> Result<Option<u64>, Breach> {
    if raw == -1 {
        return Ok(None);
    }
    u64::try_from(raw).map(Some).map_err(|_| Breach::Offset(raw))
}

fn image(raw: &RawReport) -> Result<Option<Image>, Breach> {
    if raw.image_base == 0 {
        return Ok(None);
    }
    let (base, size) = (raw.image_base, raw.image_size);
    let image = Image { name: "code".into(), base, size, ..Image::default() };
    addresses(&image).map(|_| Some(image))
}

/// The addresses that an image covers.
pub(crate) fn addresses(image: &Image) -> Result<Range<usize>, Breach> {
    let no_range = || Breach::Image { base: image.base, size: image.size };
    let start = usize::try_from(image.base).map_err(|_| no_range())?;
    let size = usize::try_from(image.size).map_err(|_| no_range())?;
    Ok(start..start.checked_add(size).ok_or_else(no_range)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_report_says_nothing() {
        let nothing = Report { rule: None, offset: None, message: None, image: None };
        assert_eq!(Report::try_from(&RawReport::blank()), Ok(nothing));
    }

    #[test]
    fn stages_are_those_that_a_library_can_reach() {
        assert_eq!(stage(0), Ok(Stage::Malformed));
        assert_eq!(stage(6), Ok(Stage::Loaded));
        assert_eq!(stage(7), Err(Breach::Stage(7)));
        assert_eq!(stage(-1), Err(Breach::Stage(-1)));
    }

    #[test]
    fn text_fills_its_array_but_for_the_nul() {
        let mut raw = RawReport::blank();
        raw.rule[..63].fill(b'R');
        assert_eq!(Report::try_from(&raw).unwrap().rule, Some("R".repeat(63)));
        raw.rule[63] = b'R';
        assert_eq!(Report::try_from(&raw), Err(Breach::Unterminated("rule")));
        let mut raw = RawReport::blank();
        raw.message[0] = 0xff;
        assert_eq!(Report::try_from(&raw), Err(Breach::NotUtf8("message")));
    }

    #[test]
    fn offsets_are_not_negative_but_for_the_unknown_one() {
        let with = |offset| Report::try_from(&RawReport { offset, ..RawReport::blank() });
        assert_eq!(with(0).unwrap().offset, Some(0));
        assert_eq!(with(-2), Err(Breach::Offset(-2)));
    }

    #[test]
    fn an_image_is_a_range() {
        let with = |image_base, image_size| {
            Report::try_from(&RawReport { image_base, image_size, ..RawReport::blank() })
        };
        assert!(with(0x1000, 0x10).unwrap().image.is_some());
        assert_eq!(with(0x1000, u64::MAX), Err(Breach::Image { base: 0x1000, size: u64::MAX }));
    }
}
