//! Cutting what a loader said to a length that fits a report.

use crate::limits::MAX_QUOTED;

/// `text` in at most [`MAX_QUOTED`] bytes, with a mark where it was cut.
pub(crate) fn cut(text: &str) -> String {
    cut_to(text, MAX_QUOTED)
}

/// `text` in at most `limit` bytes and a mark where it was cut.
pub(crate) fn cut_to(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut_to("abc", 3), "abc");
        assert_eq!(cut_to("aéb", 2), "a… (4 bytes)");
    }
}
