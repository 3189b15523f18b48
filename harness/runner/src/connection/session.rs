//! One conversation with one process: hello, cases in flight, replies matched by sequence number.
//!
//! A session reports incidents; whose fault they are is decided by the worker.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use harness_protocol::{Describe, PROTOCOL_VERSION, Reply, ToLoader, Vector, frame};
use nix::unistd::Pid;

use crate::limits::{MAX_QUOTED, TICK};
use crate::sys::wait::Exit;

use super::incident::{Incident, crash};
use super::link::Link;
use super::reply::{self, Frame};

/// Sequence numbers. They rise, but not by one: a loader that counts by itself instead of echoing, or
/// echoes its neighbour's number, never hits a number that is in flight.
#[derive(Debug)]
pub(crate) struct Sequence(u64);

impl Sequence {
    const STEP: u64 = 7;

    pub(crate) fn new() -> Self {
        Self(1_000)
    }

    fn next(&mut self) -> u64 {
        self.0 += Self::STEP;
        self.0
    }
}

/// A case that was sent and not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// Index of the vector.
    pub(crate) index: usize,
    seq: u64,
    bytes: usize,
}

/// What a session heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The answer to the case of the vector with this index.
    Reply { index: usize, reply: Box<Reply>, duration: Duration },
    /// Nothing yet.
    Nothing,
}

/// How a process ended after bye.
#[derive(Debug)]
pub(crate) enum Farewell {
    /// By itself.
    Exited(Exit),
    /// It had to be killed.
    Killed,
}

/// A process that answered hello.
#[derive(Debug)]
pub(crate) struct Session {
    link: Link,
    describe: Describe,
    flights: VecDeque<Flight>,
    bytes_in_flight: usize,
    /// Since when the first of `flights` is the oldest unanswered case.
    oldest_since: Instant,
    last_answered: Option<u64>,
    deadline: Duration,
}

impl Session {
    /// Starts a process and greets it.
    pub(crate) fn open(
        words: &[OsString],
        greeting: &Greeting,
    ) -> io::Result<Result<Self, Incident>> {
        let mut link = Link::start(words)?;
        link.process.limit(None);
        let hello = ToLoader::Hello {
            protocol: PROTOCOL_VERSION,
            harness: greeting.harness_version.clone(),
        };
        link.outgoing().extend(frame::encode(&hello).map_err(io::Error::other)?);
        let mut session = Self {
            link,
            describe: Describe::default(),
            flights: VecDeque::new(),
            bytes_in_flight: 0,
            oldest_since: Instant::now(),
            last_answered: None,
            deadline: greeting.case_deadline,
        };
        Ok(session.shake_hands(greeting)?.map(|describe| {
            session.describe = describe;
            // Only now: a sanitizer's shadow memory or a runtime's heap is reserved before hello.
            let mapped = session.link.process.mapped_bytes().unwrap_or(0);
            session
                .link
                .process
                .limit(greeting.address_space.map(|cap| cap.saturating_add(mapped)));
            session
        }))
    }

    fn shake_hands(&mut self, greeting: &Greeting) -> io::Result<Result<Describe, Incident>> {
        let deadline = Instant::now() + greeting.handshake;
        loop {
            match self.link.next_frame().map(|body| body.map(reply::parse)) {
                Err(incident) => return Ok(Err(incident)),
                Ok(Some(Ok(Frame::Hello(describe)))) => return Ok(Ok(describe)),
                Ok(Some(Ok(Frame::Result(_)))) => {
                    return Ok(Err(Incident::Protocol("a result came before hello".into())));
                }
                Ok(Some(Err(text))) => return Ok(Err(Incident::Protocol(text))),
                Ok(None) if self.link.is_finished() => return Ok(Err(self.link.end())),
                Ok(None) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || greeting.is_stopped() {
                return Ok(Err(Incident::Hung(greeting.handshake)));
            }
            self.link.exchange(left.min(TICK))?;
        }
    }

    /// What the process said about itself.
    pub(crate) fn describe(&self) -> &Describe {
        &self.describe
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        self.link.process.pid()
    }

    /// Cases in flight, oldest first.
    pub(crate) fn in_flight(&self) -> impl ExactSizeIterator<Item = usize> {
        self.flights.iter().map(|flight| flight.index)
    }

    /// Bytes of frames in flight.
    pub(crate) fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight
    }

    /// Queues one case; [`hear`](Self::hear) sends it.
    pub(crate) fn send(&mut self, index: usize, case: &Question<'_>, sequence: &mut Sequence) {
        let seq = sequence.next();
        if self.flights.is_empty() {
            self.oldest_since = Instant::now();
        }
        let places = self.describe.places;
        let outgoing = self.link.outgoing();
        let before = outgoing.len();
        case.append_frame(seq, places, outgoing);
        let bytes = outgoing.len() - before;
        self.bytes_in_flight += bytes;
        self.flights.push_back(Flight { index, seq, bytes });
    }

    /// Writes what the pipe takes of the queue, without waiting. Errors show when listening.
    pub(crate) fn push(&mut self) {
        let _ = self.link.write_some();
    }

    /// Sends what is queued and waits a little for one answer.
    pub(crate) fn hear(&mut self) -> Result<Heard, Incident> {
        if let Some(heard) = self.take_reply()? {
            return Ok(heard);
        }
        let waited = self.oldest_since.elapsed();
        let left = self.deadline.saturating_sub(waited);
        self.link.exchange(left.min(TICK)).map_err(|error| {
            Incident::Protocol(format!("the pipes to the process failed: {error}"))
        })?;
        if let Some(heard) = self.take_reply()? {
            return Ok(heard);
        }
        if self.link.is_finished() {
            return Err(self.link.end());
        }
        if !self.flights.is_empty() && self.oldest_since.elapsed() >= self.deadline {
            return Err(self.overdue());
        }
        Ok(Heard::Nothing)
    }

    fn overdue(&self) -> Incident {
        let millis = self.deadline.as_millis();
        match self.link.leftover() {
            _ if self.link.is_deaf() => Incident::Protocol(format!(
                "it closed its stdin and did not answer within {millis} ms"
            )),
            0 => Incident::Hung(self.deadline),
            _ => Incident::Protocol(format!("a frame stayed incomplete for {millis} ms")),
        }
    }

    fn take_reply(&mut self) -> Result<Option<Heard>, Incident> {
        let Some(body) = self.link.next_frame()? else { return Ok(None) };
        let reply = match reply::parse(body).map_err(Incident::Protocol)? {
            Frame::Result(reply) => reply,
            Frame::Hello(_) => return Err(Incident::Protocol("it said hello again".into())),
        };
        let Some(place) = self.flights.iter().position(|flight| flight.seq == reply.seq) else {
            return Err(Incident::Protocol(self.stray(&reply)));
        };
        let Some(flight) = self.flights.remove(place) else { return Ok(None) };
        reply::check(&reply).map_err(|text| {
            // The culprit is known: it goes back to the front, where the worker looks for it.
            self.flights.push_front(flight);
            Incident::Protocol(text)
        })?;
        self.bytes_in_flight -= flight.bytes;
        self.last_answered = Some(flight.seq);
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.oldest_since);
        if place == 0 {
            self.oldest_since = now;
        }
        Ok(Some(Heard::Reply { index: flight.index, reply: Box::new(reply), duration }))
    }

    fn stray(&self, reply: &Reply) -> String {
        if self.last_answered == Some(reply.seq) {
            return format!("sequence number {} was answered twice", reply.seq);
        }
        let asked: Vec<_> = self.flights.iter().take(3).map(|f| f.seq.to_string()).collect();
        let asked = if asked.is_empty() { "nothing".into() } else { asked.join(", ") };
        format!("a reply to sequence number {} came, asked was {asked}", reply.seq)
    }

    /// Says bye and waits for the end. An answer to nothing that arrives meanwhile is an incident, and so
    /// is death by a signal.
    pub(crate) fn close(mut self) -> Result<Farewell, Incident> {
        if let Ok(bye) = frame::encode(&ToLoader::Bye) {
            self.link.outgoing().extend(bye);
        }
        let exit = self.link.close().map_err(|error| Incident::Protocol(error.to_string()))?;
        while let Some(heard) = self.take_reply()? {
            if let Heard::Reply { .. } = heard {
                return Err(Incident::Protocol("it answered after bye".into()));
            }
        }
        if self.link.leftover() > 0 {
            let count = self.link.leftover();
            return Err(Incident::Protocol(format!(
                "{count} stray bytes on stdout after the answer"
            )));
        }
        match exit {
            Some(exit) if exit.status.code().is_none() => {
                Err(Incident::Died(crash(&exit, self.link.stderr())))
            }
            Some(exit) => Ok(Farewell::Exited(exit)),
            None => Ok(Farewell::Killed),
        }
    }
}

/// What every new process of a run is told, and how long it may take.
#[derive(Clone)]
pub(crate) struct Greeting {
    pub(crate) harness_version: String,
    pub(crate) handshake: Duration,
    pub(crate) case_deadline: Duration,
    pub(crate) address_space: Option<u64>,
    pub(crate) stop: Option<std::sync::Arc<std::sync::atomic::AtomicBool>>,
}

impl Greeting {
    fn is_stopped(&self) -> bool {
        let stop = self.stop.as_ref();
        stop.is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed))
    }
}

/// A vector as it is asked. The bytes are turned into hexadecimal straight into the pipe's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) format: &'a str,
    pub(crate) vector: &'a Vector,
}

impl Question<'_> {
    /// Bytes of the frame, at most.
    pub(crate) fn frame_size(&self) -> usize {
        let mut rest = Vec::new();
        self.append_rest(true, &mut rest);
        2 * self.vector.bytes.0.len() + self.format.len() + rest.len() + MAX_QUOTED
    }

    /// Appends the frame of `ToLoader::Case`, byte for byte what serde would write. A loader that does not
    /// place images is not told where they should lie.
    fn append_frame(&self, seq: u64, places: bool, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; 4]);
        // Writing to a Vec does not fail.
        let _ = write!(out, "{{\"type\":\"case\",\"seq\":{seq},\"format\":");
        append_json(out, &self.format);
        out.extend(b",\"want\":");
        append_json(out, &self.vector.want);
        out.extend(b",\"bytes\":\"");
        append_hex(out, &self.vector.bytes.0);
        out.push(b'"');
        self.append_rest(places, out);
        out.push(b'}');
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(prefix) = out.get_mut(start..start + 4) {
            prefix.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Appends the fields that most cases lack. Of a scenario's steps only what is to be done.
    fn append_rest(&self, places: bool, out: &mut Vec<u8>) {
        let Vector { call, imports, base_address, steps, .. } = self.vector;
        if let Some(call) = call {
            out.extend(b",\"call\":");
            append_json(out, call);
        }
        if !imports.is_empty() {
            out.extend(b",\"imports\":");
            append_json(out, imports);
        }
        if let Some(base) = base_address.filter(|_| places) {
            out.extend(b",\"base\":");
            append_json(out, &base);
        }
        for (number, step) in steps.iter().enumerate() {
            out.extend(if number == 0 { &b",\"steps\":["[..] } else { b"," });
            append_json(out, &step.step);
        }
        if !steps.is_empty() {
            out.push(b']');
        }
    }
}

fn append_json(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Writing to a Vec does not fail, and none of these types has a failing serialiser.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

/// By pairs from a table: twice as fast as digit by digit, and this is most of what asking costs.
fn append_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const PAIRS: [[u8; 2]; 256] = hex_pairs();
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    for (pair, byte) in room.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

const fn hex_pairs() -> [[u8; 2]; 256] {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness_protocol::scenario::{ExpectStep, ScenarioStep, Step};
    use harness_protocol::{Argument, Call, Case, Expect, TypeName, Want};

    use super::*;

    /// A vector with every field that is sent, and what may be seen of it.
    fn everything() -> (Vector, Case) {
        let call = Call {
            function: "a\"b".into(),
            args: vec![Argument::Int8 { value: -1 }],
            returns: TypeName::Void,
        };
        let steps = [
            Step::Load {
                path: "a.t".into(),
                bytes: Some(vec![1, 0xab].into()),
                handle: "a".into(),
            },
            Step::Call { handle: "a".into(), call: call.clone() },
        ];
        let secret = ExpectStep { same_as: Some("secret".into()), ..ExpectStep::default() };
        let vector = Vector {
            id: "scp/x".into(),
            want: Want::Call,
            bytes: vec![0, 0xff, 0x10].into(),
            call: Some(call.clone()),
            imports: BTreeMap::from([("im\"port".into(), u64::MAX), ("other".into(), 0)]),
            base_address: Some(0x7000_0000_0000),
            steps: steps
                .iter()
                .map(|step| ScenarioStep { step: step.clone(), expect: secret.clone() })
                .collect(),
            expect: Expect { rule: Some("secret".into()), ..Expect::default() },
            ..Vector::default()
        };
        let case = Case {
            seq: 1_234_567,
            format: "scp".into(),
            want: Want::Call,
            bytes: vector.bytes.clone(),
            call: Some(call),
            imports: vector.imports.clone(),
            base: vector.base_address,
            steps: steps.to_vec(),
        };
        (vector, case)
    }

    #[test]
    fn the_frame_is_what_serde_writes() {
        let (vector, case) = everything();
        let question = Question { format: "scp", vector: &vector };
        let mut written = Vec::new();
        question.append_frame(1_234_567, true, &mut written);
        assert_eq!(written, frame::encode(&ToLoader::Case(case.clone())).unwrap());
        assert!(written.len() <= question.frame_size());
        assert!(!String::from_utf8_lossy(&written).contains("secret"));
        written.clear();
        question.append_frame(1_234_567, false, &mut written);
        let not_placed = Case { base: None, ..case };
        assert_eq!(written, frame::encode(&ToLoader::Case(not_placed)).unwrap());
    }

    #[test]
    fn the_frame_of_a_plain_file_is_what_serde_writes() {
        let vector = Vector { bytes: vec![1].into(), ..Vector::default() };
        let case =
            Case { seq: 7, format: "scp".into(), bytes: vector.bytes.clone(), ..Case::default() };
        let mut written = Vec::new();
        Question { format: "scp", vector: &vector }.append_frame(7, true, &mut written);
        assert_eq!(written, frame::encode(&ToLoader::Case(case)).unwrap());
    }
}
