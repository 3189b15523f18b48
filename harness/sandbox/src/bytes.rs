//! Lists of byte strings on the wire, each copied as a whole and not byte by byte.

use serde::{Deserialize, Deserializer, Serializer};
use serde_bytes::{ByteBuf, Bytes};

/// Writes the strings.
pub(crate) fn serialize<S: Serializer>(
    strings: &[Vec<u8>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(strings.iter().map(|bytes| Bytes::new(bytes)))
}

/// Reads the strings.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Vec<u8>>, D::Error> {
    let strings = Vec::<ByteBuf>::deserialize(deserializer)?;
    Ok(strings.into_iter().map(ByteBuf::into_vec).collect())
}
