//! A stranger's text made harmless: one line, no control characters, no more than so many bytes.

/// `text` on one line of at most `limit` bytes. Control characters (escape sequences that would colour,
/// clear or rename a terminal) and marks that turn the reading direction are written as escapes.
pub(crate) fn harmless(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for character in text.trim().chars() {
        let before = line.len();
        if is_harmful(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > limit {
            line.truncate(before);
            line.push('…');
            break;
        }
    }
    line
}

fn is_harmful(character: char) -> bool {
    let turns = matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("plain é", 99, "plain é")]
    #[case("a\nb\u{1b}[31mc\u{9b}d", 99, "a\\nb\\u{1b}[31mc\\u{9b}d")]
    #[case("\u{202e}txt", 99, "\\u{202e}txt")]
    #[case("0123456789ab", 10, "0123456789…")]
    #[case("012345678\u{1b}[", 10, "012345678…")]
    fn strangers_text_is_tamed(#[case] text: &str, #[case] limit: usize, #[case] tamed: &str) {
        assert_eq!(harmless(text, limit), tamed);
    }
}
