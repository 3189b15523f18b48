//! What client and emulator say to each other: frames of a little-endian `u32` length and that many bytes of
//! postcard.
//!
//! Each side first says [`Hello`]. Then the client sends [`Setup`](crate::Setup)s, as many as it likes before
//! it reads, and the emulator sends one [`Answer`] for each, in their order.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Report;
use crate::limits::MAX_EMULATOR_FRAME;

/// Version of everything that is said: it changes whenever [`Setup`](crate::Setup) or [`Report`] does.
pub const PROTOCOL: u32 = 1;

/// The first frame, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Tells the emulator from a program that was started by mistake.
    pub magic: [u8; 4],
    /// The sender's [`PROTOCOL`].
    pub protocol: u32,
}

impl Hello {
    /// What this build says.
    pub const OURS: Self = Self { magic: *b"HEMU", protocol: PROTOCOL };
}

/// The answer to a setup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It was run.
    Report(Report),
    /// It cannot be run.
    Refused(String),
}

/// The bytes of `message` as one frame.
///
/// # Errors
/// `InvalidData` when it cannot be serialised or is longer than [`MAX_EMULATOR_FRAME`].
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(|why| nonsense(&why))?;
    let length = frame.len() - 4;
    match u32::try_from(length) {
        Ok(word) if length <= MAX_EMULATOR_FRAME => {
            frame[..4].copy_from_slice(&word.to_le_bytes());
            Ok(frame)
        }
        _ => Err(nonsense(&format!("a frame of {length} bytes"))),
    }
}

/// Writes one message. Does not flush.
///
/// # Errors
/// See [`encode`]; also when the stream refuses the bytes.
pub fn write(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&encode(message)?)
}

/// Reads one message; `None` when the stream ended between two frames.
///
/// # Errors
/// `UnexpectedEof` when the stream ends inside a frame, `InvalidData` when a frame is too long or not what was
/// expected.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut prefix = [0; 4];
    if stream.read(&mut prefix[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut prefix[1..])?;
    let length = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
    if length > MAX_EMULATOR_FRAME {
        return Err(nonsense(&format!("a frame of {length} bytes")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    postcard::from_bytes(&body).map(Some).map_err(|why| nonsense(&why))
}

fn nonsense(why: &impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_round_trip_and_one_that_ends_early_does_not() {
        let frame = encode(&Hello::OURS).unwrap();
        assert_eq!(read::<Hello>(&mut frame.as_slice()).unwrap(), Some(Hello::OURS));
        assert!(read::<Hello>(&mut [].as_slice()).unwrap().is_none());
        for end in 1..frame.len() {
            let error = read::<Hello>(&mut &frame[..end]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "after {end} bytes");
        }
    }

    #[test]
    fn stray_text_is_no_allocation() {
        let error = read::<Hello>(&mut b"Usage: somebody else".as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
