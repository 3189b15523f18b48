//! What a result keeps of a reply.

use harness_protocol::limits::MAX_TEXT;
use harness_protocol::scenario::StepReply;
use harness_protocol::{HexBytes, Image, Reply};

use crate::Outcome;
use crate::limits::{MAX_KEPT_ITEMS, MAX_KEPT_MODEL, MAX_QUOTED};
use crate::text::cut_to;

/// What a result keeps of a reply: texts cut; model, buffers, images, exports and steps only beside a
/// failure, and what can be long only while it is short.
#[must_use]
pub fn trimmed(reply: Reply, outcome: Outcome) -> Reply {
    let mut kept = Reply {
        message: cut_text(reply.message, MAX_TEXT),
        rule: cut_text(reply.rule, MAX_QUOTED),
        skip: cut_text(reply.skip, MAX_TEXT),
        ..reply
    };
    if outcome == Outcome::Pass {
        kept.model = None;
        kept.buffers.clear();
        kept.images.clear();
        kept.exports = None;
        kept.steps.clear();
    }
    kept.model = kept.model.filter(is_short);
    kept.trap = kept.trap.filter(is_short);
    kept.breaches = kept.breaches.filter(is_short);
    if length(&kept.buffers) > MAX_KEPT_MODEL {
        kept.buffers.clear();
    }
    trim_images(&mut kept.images);
    kept.exports = kept.exports.filter(is_short);
    kept.steps.truncate(MAX_KEPT_ITEMS);
    kept.steps.iter_mut().for_each(trim_step);
    if !is_short(&kept.steps) {
        kept.steps.clear();
    }
    kept
}

fn cut_text(text: Option<String>, limit: usize) -> Option<String> {
    text.map(|text| cut_to(&text, limit))
}

fn is_short(value: &impl serde::Serialize) -> bool {
    serde_json::to_string(value).is_ok_and(|text| text.len() <= MAX_KEPT_MODEL)
}

fn length<'a>(bytes: impl IntoIterator<Item = &'a HexBytes>) -> usize {
    bytes.into_iter().map(|bytes| bytes.0.len()).sum()
}

/// Places and sizes stay; what the loader says is there only while it is little.
fn trim_images(images: &mut Vec<Image>) {
    images.truncate(MAX_KEPT_ITEMS);
    let much = length(images.iter().filter_map(|image| image.bytes.as_ref())) > MAX_KEPT_MODEL;
    for image in images {
        image.name = cut_to(&image.name, MAX_QUOTED);
        image.bytes = image.bytes.take().filter(|_| !much);
    }
}

fn trim_step(step: &mut StepReply) {
    step.message = cut_text(step.message.take(), MAX_QUOTED);
    step.rule = cut_text(step.rule.take(), MAX_QUOTED);
    step.images.iter_mut().for_each(|image| image.bytes = None);
}

#[cfg(test)]
mod tests {
    use harness_protocol::{Export, Stage};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pass_keeps_no_model_and_a_failure_only_a_small_one() {
        let reply = Reply {
            model: Some(json!("x".repeat(100))),
            message: Some("m".repeat(10_000)),
            ..Reply::default()
        };
        assert_eq!(trimmed(reply.clone(), Outcome::Pass).model, None);
        let kept = trimmed(reply.clone(), Outcome::WrongModel);
        assert_eq!(kept.model, reply.model);
        assert!(kept.message.unwrap().len() < 4200);
        let large = Reply { model: Some(json!("x".repeat(10_000))), ..reply };
        assert_eq!(trimmed(large, Outcome::WrongModel).model, None);
    }

    /// A reply with `count` of everything.
    fn loaded(count: usize) -> Reply {
        let image = |n: usize| Image {
            name: "code".into(),
            base: n as u64,
            size: 8,
            bytes: Some(vec![0; 8].into()),
        };
        let export = |n: usize| Export { name: format!("f{n}"), address: n as u64 };
        let step = StepReply {
            stage: Some(Stage::Loaded),
            message: Some("m".repeat(1000)),
            images: vec![image(1)],
            ..StepReply::default()
        };
        Reply {
            stage: Some(Stage::Loaded),
            images: (0..count).map(image).collect(),
            exports: Some((0..count).map(export).collect()),
            steps: vec![step; count],
            ..Reply::default()
        }
    }

    #[test]
    fn a_pass_keeps_nothing_of_what_was_loaded() {
        let kept = trimmed(loaded(2), Outcome::Pass);
        assert_eq!(kept, Reply { stage: Some(Stage::Loaded), ..Reply::default() });
    }

    #[test]
    fn a_failure_keeps_what_is_short() {
        let kept = trimmed(loaded(2), Outcome::WrongImage);
        assert_eq!((kept.images.clone(), kept.exports), (loaded(2).images, loaded(2).exports));
        assert_eq!(kept.steps.len(), 2);
        assert!(kept.steps[0].message.as_ref().unwrap().len() < 200);
        assert_eq!((kept.steps[0].images[0].base, &kept.steps[0].images[0].bytes), (1, &None));
    }

    #[test]
    fn what_is_long_goes() {
        let kept = trimmed(loaded(10_000), Outcome::WrongImage);
        assert_eq!((kept.images.len(), kept.exports, kept.steps.len()), (MAX_KEPT_ITEMS, None, 0));
        let mut large = loaded(1);
        large.images[0].bytes = Some(vec![0; 10_000].into());
        let kept = trimmed(large, Outcome::WrongImage);
        assert_eq!((kept.images[0].size, &kept.images[0].bytes), (8, &None));
    }
}
