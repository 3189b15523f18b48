//! Reading a loader's frames: cheaply, and with a cause for everything that is not an answer.

use std::borrow::Cow;

use harness_protocol::{Describe, Reply};
use serde::Deserialize;

use crate::text::cut;

/// A frame of a loader.
#[derive(Debug)]
pub(crate) enum Frame {
    Hello(Describe),
    Result(Reply),
}

/// Only the tag. `FromLoader` itself is internally tagged, which makes serde build a tree of every
/// message before it looks at the tag; reading the tag first and the fields then is cheaper.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
}

/// What a result begins with when its writer puts the tag first, as nearly all do.
const USUAL: &[u8] = b"{\"type\":\"result\",";

/// Reads the body of one frame.
pub(crate) fn parse(body: &[u8]) -> Result<Frame, String> {
    if body.starts_with(USUAL)
        && let Ok(reply) = serde_json::from_slice(body)
    {
        return Ok(Frame::Result(reply));
    }
    let fail = |error: serde_json::Error| {
        format!("a frame is not a message: {error}: {}", cut(&String::from_utf8_lossy(body)))
    };
    let tag: Tag<'_> = serde_json::from_slice(body).map_err(fail)?;
    match &*tag.name {
        "result" => serde_json::from_slice(body).map(Frame::Result).map_err(fail),
        "hello" => serde_json::from_slice(body).map(Frame::Hello).map_err(fail),
        other => Err(format!("a frame has the unknown type `{}`", cut(other))),
    }
}

/// Whether `reply` says exactly one of `stage` and `skip`; the cause when it does not.
pub(crate) fn check(reply: &Reply) -> Result<(), String> {
    match (reply.stage, &reply.skip) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err("the reply has neither `stage` nor `skip`".into()),
        (Some(_), Some(_)) => Err("the reply has both `stage` and `skip`".into()),
    }
}

#[cfg(test)]
mod tests {
    use harness_protocol::Stage;
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_reply_is_read() {
        let body = br#"{"type":"result","seq":7,"stage":"valid","skip":null,"extra":1}"#;
        let Ok(Frame::Result(reply)) = parse(body) else { panic!() };
        assert_eq!((reply.seq, reply.stage), (7, Some(Stage::Valid)));
        assert_eq!(check(&reply), Ok(()));
    }

    #[rstest]
    #[case(b"Loading...", "a frame is not a message")]
    #[case(br#"{"seq":1}"#, "missing field `type`")]
    #[case(br#"{"type":"bye"}"#, "unknown type `bye`")]
    #[case(br#"{"type":"result","seq":1,"stage":"ok"}"#, "unknown variant `ok`")]
    fn what_is_no_message_says_why(#[case] body: &[u8], #[case] cause: &str) {
        let text = parse(body).unwrap_err();
        assert!(text.contains(cause), "{text}");
    }
}
