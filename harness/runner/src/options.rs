//! What a run is told, and what it tells while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::civil::Date;

use crate::judge::Strictness;
use crate::limits::{
    DEADLINE, HANDSHAKE, MAX_ADDRESS_SPACE, MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES, MAX_RSS_KIB,
};
use crate::{CaseResult, Choices, Deviations};

/// What a run is told.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Id of the format; `None` takes the first segment of each vector's id.
    pub format: Option<String>,
    /// Workers, each with a process of its own; 0 means 1.
    pub jobs: usize,
    /// How long one case may take once it is the oldest unanswered one.
    pub deadline: Duration,
    /// How long hello may take.
    pub handshake: Duration,
    /// Most cases in flight in one process; 1 turns pipelining off.
    pub in_flight: usize,
    /// Most bytes of frames in flight in one process.
    pub in_flight_bytes: usize,
    /// Whether every failure is run again alone in a fresh process.
    pub isolate: bool,
    /// Whether to look at the loader's mappings where a vector asks for it.
    pub observe: bool,
    /// Most address space of a loader in bytes; `None`: unlimited. Sanitized one-shot loaders are exempt.
    pub address_space: Option<u64>,
    /// Most resident memory of a one-shot loader in KiB; `None`: unlimited.
    pub max_rss_kib: Option<u64>,
    /// Readings given by the user; they override the deviations file's, which override the loader's own.
    pub choices: Choices,
    /// Failures that are known.
    pub deviations: Option<Deviations>,
    /// Today, for deviations that expire; `None`: nothing expires.
    pub today: Option<Date>,
    /// How strictly to judge.
    pub strictness: Strictness,
    /// Whether a failure of a vector that the document only recommends fails the run. Crashes, hangs,
    /// budgets and protocol errors always do.
    pub enforce_should: bool,
    /// Whether the vectors are a selection, so that a deviation which matches none of them is not stale.
    pub partial: bool,
    /// Stop after this many failures.
    pub max_failures: Option<usize>,
    /// Version of the harness, told to the loader.
    pub harness_version: String,
    /// Set by somebody else to stop: children are killed and reaped, what is known is returned.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            format: None,
            jobs: 1,
            deadline: DEADLINE,
            handshake: HANDSHAKE,
            in_flight: MAX_IN_FLIGHT,
            in_flight_bytes: MAX_IN_FLIGHT_BYTES,
            isolate: true,
            observe: true,
            address_space: Some(MAX_ADDRESS_SPACE),
            max_rss_kib: Some(MAX_RSS_KIB),
            choices: Choices::new(),
            deviations: None,
            today: None,
            strictness: Strictness::default(),
            enforce_should: false,
            partial: false,
            max_failures: None,
            harness_version: env!("CARGO_PKG_VERSION").into(),
            stop: None,
        }
    }
}

impl RunOptions {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// What a run tells while it runs. Called from several threads; results come as they are known.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins.
    Started {
        /// Vectors selected, those that do not apply included.
        total: usize,
    },
    /// A vector has its final result.
    CaseDone {
        /// Vectors done, this one included.
        done: usize,
        /// Vectors selected.
        total: usize,
        /// The result.
        result: &'a CaseResult,
    },
    /// A process was replaced after an incident.
    Restarted {
        /// What happened.
        cause: &'a str,
    },
}
