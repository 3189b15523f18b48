//! What one try of one vector brought to light, whatever the connection.

use std::time::Duration;

use harness_protocol::Reply;

use crate::connection::incident::Incident;
use crate::judge::Said;
use crate::observe::Sight;

/// What the loader told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// A judgement of the file.
    Answer(Said, Box<Reply>),
    /// That it did not try.
    Skip(String, Box<Reply>),
    /// Nothing of use.
    Incident(Incident),
}

/// One try of one vector.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) told: Told,
    /// What the harness saw, where it looked.
    pub(crate) sight: Option<Sight>,
    /// Largest resident set in KiB, where it is known for this case alone.
    pub(crate) max_rss_kib: Option<u64>,
    pub(crate) duration: Duration,
    /// The incident came when the loader had answered already.
    pub(crate) answered_first: bool,
}

impl Attempt {
    /// What a checked reply of a pipe connection tells.
    pub(crate) fn from_reply(reply: Box<Reply>, duration: Duration) -> Self {
        let told = match (reply.stage, &reply.skip) {
            (_, Some(reason)) => Told::Skip(reason.clone(), reply),
            (Some(stage), None) => Told::Answer(Said::Stage(stage), reply),
            (None, None) => Told::Incident(Incident::Protocol("an empty reply".into())),
        };
        Self { told, sight: None, max_rss_kib: None, duration, answered_first: false }
    }

    /// An attempt that ended in an incident.
    pub(crate) fn from_incident(incident: Incident, duration: Duration) -> Self {
        Self {
            told: Told::Incident(incident),
            sight: None,
            max_rss_kib: None,
            duration,
            answered_first: false,
        }
    }

    /// The incident that this attempt ended in.
    pub(crate) fn incident(&self) -> Option<&Incident> {
        match &self.told {
            Told::Incident(incident) => Some(incident),
            Told::Answer(..) | Told::Skip(..) => None,
        }
    }

    /// Whether the file was accepted, so that there may be something to look at.
    pub(crate) fn accepts(&self) -> bool {
        matches!(&self.told, Told::Answer(said, _) if said.accepts())
    }
}
