//! Framing: a little-endian `u32` length, then that many bytes of UTF-8 JSON.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::MAX_FRAME;

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream failed or ended inside a frame.
    #[error("the stream failed inside a frame: {0}")]
    Io(#[from] io::Error),
    /// The length word is larger than [`MAX_FRAME`]; usually stray text on stdout.
    #[error(
        "a frame of {length} bytes was announced, {MAX_FRAME} is the limit (is something else printing to stdout?)"
    )]
    TooLong {
        /// The announced length in bytes.
        length: usize,
    },
    /// The frame is not the JSON that was expected.
    #[error("a frame is not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The bytes of `message` as one frame.
///
/// # Errors
/// When the message cannot be serialised or is longer than [`MAX_FRAME`].
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    match u32::try_from(length) {
        Ok(word) if length <= MAX_FRAME => {
            frame[..4].copy_from_slice(&word.to_le_bytes());
            Ok(frame)
        }
        _ => Err(FrameError::TooLong { length }),
    }
}

/// The length of the body that follows `prefix`.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`].
pub fn body_length(prefix: [u8; 4]) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
    if length > MAX_FRAME { Err(FrameError::TooLong { length }) } else { Ok(length) }
}

/// Writes one message and flushes.
///
/// # Errors
/// See [`encode`]; also when the stream refuses the bytes.
pub fn write(stream: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    stream.write_all(&encode(message)?)?;
    stream.flush()?;
    Ok(())
}

/// Reads one message; `None` when the stream ended between two frames.
///
/// # Errors
/// When the stream ends inside a frame, the frame is too long, or it is not the expected JSON.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut prefix = [0; 4];
    if stream.read(&mut prefix[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut prefix[1..])?;
    let mut body = vec![0; body_length(prefix)?];
    stream.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_round_trip() {
        let mut stream = Vec::new();
        write(&mut stream, &"hello").unwrap();
        assert_eq!(stream, b"\x07\0\0\0\"hello\"");
        assert_eq!(read::<String>(&mut stream.as_slice()).unwrap().unwrap(), "hello");
    }

    #[test]
    fn the_end_between_frames_is_no_error_inside_one_it_is() {
        assert!(read::<String>(&mut [].as_slice()).unwrap().is_none());
        assert!(matches!(
            read::<String>(&mut b"\x07\0\0\0\"he".as_slice()),
            Err(FrameError::Io(_))
        ));
        assert!(matches!(read::<String>(&mut b"\x07\0".as_slice()), Err(FrameError::Io(_))));
    }

    #[test]
    fn stray_text_is_no_allocation() {
        let error = read::<String>(&mut b"Loading file...".as_slice()).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { length: 0x6461_6f4c }), "{error}");
    }
}
