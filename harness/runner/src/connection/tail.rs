//! The end of a stream of which only the end matters.

/// Keeps the last `limit` bytes of what is pushed.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// Appends `chunk`. Holds up to twice the limit, so that not every push moves bytes.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() > 2 * self.limit {
            self.bytes.drain(..self.bytes.len() - self.limit);
        }
    }

    /// The last `limit` bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(self.limit)..]
    }

    /// The last `most` bytes as text.
    pub(crate) fn text(&self, most: usize) -> String {
        let bytes = self.bytes();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(most)..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::new(4);
        for byte in b'a'..=b'z' {
            tail.push(&[byte]);
        }
        assert_eq!(tail.bytes(), b"wxyz");
        assert_eq!(tail.text(2), "yz");
        assert!(tail.bytes.len() <= 8);
    }
}
