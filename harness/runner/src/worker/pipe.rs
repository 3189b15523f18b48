//! The worker of a pipe connection: one process, many cases in flight, and the question who is to blame
//! when the process dies, hangs or writes nonsense.
//!
//! With one case in flight that case is to blame. With several it cannot be told: a loader may answer in
//! batches or in any order. So nobody is blamed; all of them are asked again one at a time in a fresh
//! process, where the culprit shows itself. If none does, the oldest is blamed, with a note.
//!
//! An answer is held back until the process has answered something else or has ended well: a second
//! answer to the same case, or death right after the answer, revokes it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::time::Duration;

use crate::attempt::{Attempt, Told};
use crate::connection::incident::Incident;
use crate::connection::session::{Farewell, Heard, Sequence, Session};
use crate::limits::{HANDSHAKE_ATTEMPTS, MAX_WAITING_FAILURES};
use crate::observe;
use crate::probe::program_name;
use crate::run::RunError;
use crate::settle::Plan;
use crate::worker::add_isolated;
use crate::{CaseResult, Finding, FindingKind, StartError};

const LEAK: &str = "only after other cases, so state leaks between cases";

/// Works until no vector is left or the run is stopped.
pub(crate) fn work(plan: &Plan<'_>, command: &[OsString]) -> Result<(), RunError> {
    let mut worker = Worker {
        plan,
        command,
        sequence: Sequence::new(),
        session: None,
        held: None,
        ready: Vec::new(),
        one_by_one: VecDeque::new(),
        suspicion: None,
        to_isolate: Vec::new(),
        enough: false,
        observing: false,
    };
    worker.run()
}

struct Worker<'p, 'a> {
    plan: &'p Plan<'a>,
    command: &'p [OsString],
    sequence: Sequence,
    session: Option<Session>,
    /// The last answer, which may still be revoked.
    held: Option<Answered>,
    /// Answers that stand. They are judged when the next case is on its way, while the loader works.
    ready: Vec<Answered>,
    /// Vectors to be asked with nothing else in flight, before any other.
    one_by_one: VecDeque<usize>,
    suspicion: Option<Suspicion>,
    /// Failures that are counted and are to be run again alone, once nothing is in flight: meanwhile nobody
    /// listens.
    to_isolate: Vec<CaseResult>,
    /// The run has as many failures as it may have. They are still run again alone, then it is stopped.
    enough: bool,
    /// All that may be in flight together is done; what is left is asked one by one.
    observing: bool,
}

struct Answered {
    index: usize,
    attempt: Attempt,
}

/// An incident with several cases in flight, whose culprit is being looked for.
struct Suspicion {
    incident: Incident,
    /// The case that was the oldest in flight.
    oldest: usize,
    /// Answers to the cases that were in flight, asked one by one.
    cleared: Vec<Answered>,
    culprit_found: bool,
}

impl Worker<'_, '_> {
    fn run(&mut self) -> Result<(), RunError> {
        while !self.plan.is_stopped() && !self.enough {
            self.refill()?;
            self.judge_ready();
            if self.in_flight() > 0 {
                self.listen()?;
            } else if self.isolation_is_due() {
                self.isolate_failures()?;
            } else if self.suspicion.is_some() {
                self.close_session()?;
                self.end_suspicion();
            } else if self.observing {
                break;
            } else {
                self.observing = true;
            }
        }
        if self.plan.is_stopped() || self.enough {
            self.session = None;
            self.held.take().into_iter().for_each(|answered| self.confirm(answered));
        } else {
            self.close_session()?;
        }
        self.judge_ready();
        self.isolate_failures()?;
        if self.enough {
            self.plan.abandon();
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.in_flight().len())
    }

    /// Sends until the window is full, once it is half empty: many small writes are slow.
    fn refill(&mut self) -> Result<(), RunError> {
        if self.isolation_is_due() {
            return Ok(());
        }
        let alone = self.observing || self.suspicion.is_some() || !self.one_by_one.is_empty();
        let window = if alone { 1 } else { self.plan.options.in_flight.max(1) };
        let mut in_flight = self.in_flight();
        if in_flight > window / 2 {
            return Ok(());
        }
        let most_bytes = self.plan.options.in_flight_bytes;
        while in_flight < window && (in_flight == 0 || self.bytes_in_flight() < most_bytes) {
            let Some(index) = self.next() else { break };
            if self.plan.needs_fresh_process(index) {
                self.close_session()?;
            }
            if !self.open_session()? {
                self.one_by_one.push_front(index);
                break;
            }
            let question = self.plan.question(index);
            if let Some(session) = &mut self.session {
                session.send(index, &question, &mut self.sequence);
            }
            in_flight += 1;
        }
        if let Some(session) = &mut self.session {
            session.push();
        }
        Ok(())
    }

    fn bytes_in_flight(&self) -> usize {
        self.session.as_ref().map_or(0, Session::bytes_in_flight)
    }

    fn next(&mut self) -> Option<usize> {
        if let Some(index) = self.one_by_one.pop_front() {
            return Some(index);
        }
        match (&self.suspicion, self.observing) {
            (Some(_), _) => None,
            (None, false) => self.plan.next_pipelined(),
            (None, true) => self.plan.next_observed(),
        }
    }

    fn listen(&mut self) -> Result<(), RunError> {
        let Some(session) = &mut self.session else { return Ok(()) };
        match session.hear() {
            Ok(Heard::Nothing) => Ok(()),
            Ok(Heard::Reply { index, reply, duration }) => {
                let mut attempt = Attempt::from_reply(reply, duration);
                look(self.plan, session, index, &mut attempt);
                if let Some(confirmed) = self.held.replace(Answered { index, attempt }) {
                    self.confirm(confirmed);
                }
                Ok(())
            }
            Err(incident) => self.incident(incident),
        }
    }

    /// Takes an answer as given.
    fn confirm(&mut self, answered: Answered) {
        match &mut self.suspicion {
            Some(suspicion) => suspicion.cleared.push(answered),
            None => self.ready.push(answered),
        }
    }

    fn judge_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.drain(..).for_each(|answered| self.deliver(answered));
        self.ready = ready;
    }

    fn deliver(&mut self, answered: Answered) {
        let result = self.plan.judged(answered.index, answered.attempt);
        if result.outcome.is_failure() && self.plan.options.isolate {
            self.enough |= self.plan.count(&result);
            self.to_isolate.push(result);
        } else {
            self.plan.settle(result);
        }
    }

    /// The process is of no use any more.
    fn incident(&mut self, incident: Incident) -> Result<(), RunError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let flights: Vec<_> = session.in_flight().collect();
        drop(session);
        let held = self.held.take();
        if let ([only], None) = (&flights[..], &held)
            && self.plan.is_right_death(*only, &incident)
        {
            let attempt = Attempt::from_incident(incident, Duration::ZERO);
            self.plan.settle(self.plan.judged(*only, attempt));
            return Ok(());
        }
        self.plan.restarted(&incident.to_string());
        match flights[..] {
            [] => Ok(()),
            [only] => self.resolve(held, only, incident),
            [oldest, ..] => {
                self.one_by_one.extend(held.map(|answered| answered.index));
                self.one_by_one.extend(flights);
                self.suspicion =
                    Some(Suspicion { incident, oldest, cleared: Vec::new(), culprit_found: false });
                Ok(())
            }
        }
    }

    /// One case was in flight, another had just been answered: which of the two was it?
    fn resolve(
        &mut self,
        held: Option<Answered>,
        only: usize,
        incident: Incident,
    ) -> Result<(), RunError> {
        let Some(alone) = self.alone(only)? else { return Ok(()) };
        let certain = alone.incident().is_some() && !alone.answered_first;
        if let Some(answered) = held {
            // A second answer, or death after the first one, comes when the next case is on its way.
            if !certain {
                let Some(before) = self.alone(answered.index)? else { return Ok(()) };
                if let Some(after) = before.incident().cloned() {
                    self.one_by_one.push_front(only);
                    self.blame(answered.index, after, before);
                    return Ok(());
                }
            }
            self.confirm(answered);
        }
        self.blame(only, incident, alone);
        Ok(())
    }

    fn blame(&mut self, index: usize, incident: Incident, alone: Attempt) {
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.culprit_found = true;
        }
        let attempt = Attempt {
            answered_first: alone.answered_first,
            ..Attempt::from_incident(incident, alone.duration)
        };
        let mut result = self.plan.judged(index, attempt);
        add_isolated(&mut result, self.plan.judged(index, alone).outcome, LEAK);
        self.plan.settle(result);
    }

    /// All that were in flight at the incident have been asked one by one.
    fn end_suspicion(&mut self) {
        let Some(suspicion) = self.suspicion.take() else { return };
        for answered in suspicion.cleared {
            if answered.index == suspicion.oldest && !suspicion.culprit_found {
                let incident = suspicion.incident.clone();
                self.blame(answered.index, incident, answered.attempt);
            } else {
                self.deliver(answered);
            }
        }
    }

    /// Ends the process in peace. Whatever it does wrong now is about the last answer.
    fn close_session(&mut self) -> Result<(), RunError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let incident = match session.close() {
            Ok(farewell) => {
                self.held.take().into_iter().for_each(|answered| self.confirm(answered));
                self.note_farewell(&farewell);
                return Ok(());
            }
            Err(incident) => incident,
        };
        let Some(answered) = self.held.take() else { return Ok(()) };
        match self.alone(answered.index)? {
            Some(alone) if alone.incident().is_some() => {
                self.blame(answered.index, incident, alone);
            }
            _ => {
                self.confirm(answered);
                let text = format!("after bye: {incident}; no single case causes it");
                self.plan.find(Finding { kind: FindingKind::Farewell, text, fails: true });
            }
        }
        Ok(())
    }

    fn note_farewell(&self, farewell: &Farewell) {
        let text = match farewell {
            Farewell::Exited(exit) if exit.status.success() => return,
            Farewell::Exited(exit) => format!("after bye the process ended with {}", exit.status),
            Farewell::Killed => "after bye and the end of stdin the process went on running".into(),
        };
        self.plan.find(Finding { kind: FindingKind::Farewell, text, fails: false });
    }

    fn isolation_is_due(&self) -> bool {
        self.to_isolate.len() >= MAX_WAITING_FAILURES
    }

    fn isolate_failures(&mut self) -> Result<(), RunError> {
        for mut result in std::mem::take(&mut self.to_isolate) {
            if !self.plan.is_stopped()
                && let Some(attempt) = self.alone(result.index)?
            {
                let outcome = self.plan.judged(result.index, attempt).outcome;
                add_isolated(&mut result, outcome, LEAK);
            }
            self.plan.record(result);
        }
        Ok(())
    }

    /// Asks one vector in a process of its own; `None` when the run was stopped meanwhile.
    fn alone(&mut self, index: usize) -> Result<Option<Attempt>, RunError> {
        let Some(session) = open(self.plan, self.command)? else { return Ok(None) };
        Ok(ask_alone(self.plan, session, index, &mut self.sequence))
    }

    fn open_session(&mut self) -> Result<bool, RunError> {
        if self.session.is_none() {
            self.session = open(self.plan, self.command)?;
        }
        Ok(self.session.is_some())
    }
}

/// Asks one vector and ends the process; `None` when the run was stopped meanwhile.
fn ask_alone(
    plan: &Plan<'_>,
    mut session: Session,
    index: usize,
    sequence: &mut Sequence,
) -> Option<Attempt> {
    session.send(index, &plan.question(index), sequence);
    let mut attempt = loop {
        if plan.is_stopped() {
            return None;
        }
        match session.hear() {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Reply { reply, duration, .. }) => {
                break Attempt::from_reply(reply, duration);
            }
            Err(incident) => {
                let waited =
                    if let Incident::Hung(waited) = incident { waited } else { Duration::ZERO };
                return Some(Attempt::from_incident(incident, waited));
            }
        }
    };
    look(plan, &session, index, &mut attempt);
    if let Err(incident) = session.close() {
        let late = Attempt::from_incident(incident, attempt.duration);
        return Some(Attempt { answered_first: true, ..late });
    }
    Some(attempt)
}

/// Looks at the process while it holds the image, where the vector asks for it. Such a vector is alone in
/// its process's pipe, so nothing has unmapped the image yet.
fn look(plan: &Plan<'_>, session: &Session, index: usize, attempt: &mut Attempt) {
    if let Told::Answer(said, reply) = &attempt.told
        && said.accepts()
        && let Some(asked) = plan.asked(index)
    {
        attempt.sight = Some(observe::look(session.pid(), &asked, &reply.images));
    }
}

/// A fresh process that answered hello; `None` when the run was stopped meanwhile.
fn open(plan: &Plan<'_>, command: &[OsString]) -> Result<Option<Session>, RunError> {
    let program = || program_name(command);
    let mut cause = String::new();
    for _ in 0..HANDSHAKE_ATTEMPTS {
        match Session::open(command, &plan.greeting()) {
            Ok(Ok(session)) => return Ok(Some(session)),
            Ok(Err(_)) if plan.is_stopped() => return Ok(None),
            Ok(Err(incident)) => cause = incident.to_string(),
            Err(source) => return Err(StartError::Spawn { program: program(), source }.into()),
        }
    }
    Err(StartError::Handshake { program: program(), cause }.into())
}
