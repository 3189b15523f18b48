//! What all workers of a run share: the vectors still to do, the judgement of an attempt, the results.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harness_protocol::{Expect, Reply, Stage, Vector, Want};

use crate::attempt::{Attempt, Told};
use crate::connection::incident::Incident;
use crate::connection::session::{Greeting, Question};
use crate::deviations::Coverage;
use crate::expectation::{Choices, expectation};
use crate::judge::{Said, Verdict, is_right_death, judge, may_die, trimmed};
use crate::observe::{self, Asked};
use crate::options::{Event, RunOptions};
use crate::sys::wait::own_peak_kib;
use crate::text::cut;
use crate::{CaseResult, Connection, Finding, Implementation, Observed, Outcome, Skip, skip};

/// One run, as its workers see it.
pub(crate) struct Plan<'a> {
    pub(crate) implementation: &'a Implementation,
    pub(crate) options: &'a RunOptions,
    pub(crate) vectors: &'a [Vector],
    pub(crate) choices: &'a Choices,
    pub(crate) coverage: &'a Coverage,
    sink: &'a (dyn Fn(Event<'_>) + Sync),
    known_rules: BTreeSet<&'a str>,
    pipelined: Queue,
    observed: Queue,
    state: Mutex<State>,
    failures: AtomicUsize,
    abandoned: AtomicBool,
}

struct State {
    /// In the order in which they became final.
    results: Vec<CaseResult>,
    findings: Vec<Finding>,
}

/// Vectors that are handed out in order.
struct Queue {
    indices: Vec<usize>,
    next: AtomicUsize,
}

impl Queue {
    fn new(indices: Vec<usize>) -> Self {
        Self { indices, next: AtomicUsize::new(0) }
    }

    fn pop(&self) -> Option<usize> {
        self.indices.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        implementation: &'a Implementation,
        options: &'a RunOptions,
        vectors: &'a [Vector],
        choices: &'a Choices,
        coverage: &'a Coverage,
        sink: &'a (dyn Fn(Event<'_>) + Sync),
    ) -> Self {
        let mut plan = Self {
            implementation,
            options,
            vectors,
            choices,
            coverage,
            sink,
            known_rules: vectors.iter().filter_map(|vector| vector.rule.as_deref()).collect(),
            pipelined: Queue::new(Vec::new()),
            observed: Queue::new(Vec::new()),
            state: Mutex::new(State {
                results: Vec::with_capacity(vectors.len()),
                findings: Vec::new(),
            }),
            failures: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        };
        let (mut pipelined, mut observed, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        (plan.sink)(Event::Started { total: vectors.len() });
        for (index, vector) in vectors.iter().enumerate() {
            let reason = skip::derived(&plan.question(index), implementation, choices);
            if let Some(reason) = reason {
                plan.settle(skipped(plan.blank(index), Skip::Derived(reason)));
            } else if plan.needs_fresh_process(index) {
                alone.push(index);
            } else if observe::wanted(vector) {
                observed.push(index);
            } else {
                pipelined.push(index);
            }
        }
        plan.pipelined = Queue::new(pipelined);
        // Last, and each in a fresh process: code that ran may have left anything behind, or taken the process down.
        observed.extend(alone);
        plan.observed = Queue::new(observed);
        plan
    }

    /// The next vector that may be in flight together with others.
    pub(crate) fn next_pipelined(&self) -> Option<usize> {
        self.pipelined.pop()
    }

    /// The next vector that must be alone: it is looked at, is a scenario, or may end the process.
    pub(crate) fn next_observed(&self) -> Option<usize> {
        self.observed.pop()
    }

    /// Whether the vector is asked only of a process that was asked nothing before.
    pub(crate) fn needs_fresh_process(&self, index: usize) -> bool {
        let vector = &self.vectors[index];
        vector.want == Want::Scenario || may_die(vector, self.expect(index))
    }

    /// Whether the loader died of the code that it was asked to call, as one does that does not contain code.
    pub(crate) fn is_right_death(&self, index: usize, incident: &Incident) -> bool {
        let (vector, expect) = (&self.vectors[index], self.expect(index));
        !self.implementation.describe.contains
            && incident.crash().is_some_and(|crash| is_right_death(vector, expect, crash))
    }

    /// Vectors that are to be tried at all.
    pub(crate) fn runnable(&self) -> usize {
        self.pipelined.indices.len() + self.observed.indices.len()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || self.options.is_stopped()
    }

    /// Makes all workers stop.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn question(&self, index: usize) -> Question<'a> {
        let vector = &self.vectors[index];
        let first = vector.id.split('/').next().unwrap_or_default();
        Question { format: self.options.format.as_deref().unwrap_or(first), vector }
    }

    pub(crate) fn greeting(&self) -> Greeting {
        Greeting {
            harness_version: self.options.harness_version.clone(),
            handshake: self.options.handshake,
            case_deadline: self.options.deadline,
            address_space: self.address_space(),
            stop: self.options.stop.clone(),
        }
    }

    pub(crate) fn address_space(&self) -> Option<u64> {
        self.options.address_space.filter(|_| !self.implementation.sanitized)
    }

    fn expect(&self, index: usize) -> &'a Expect {
        let vector = &self.vectors[index];
        expectation(vector, self.choices).unwrap_or(&vector.expect)
    }

    /// What is looked for while the vector is loaded; `None` when nothing is.
    pub(crate) fn asked(&self, index: usize) -> Option<Asked<'a>> {
        let vector = &self.vectors[index];
        (self.options.observe && observe::wanted(vector)).then(|| Asked {
            vector,
            expect: self.expect(index),
            all_images: !matches!(self.implementation.connection, Connection::Dylib { .. }),
        })
    }

    fn blank(&self, index: usize) -> CaseResult {
        CaseResult::blank(&self.vectors[index], index, &self.expect(index).stages)
    }

    /// The result of `attempt`, before deviations.
    pub(crate) fn judged(&self, index: usize, attempt: Attempt) -> CaseResult {
        let mut result = self.blank(index);
        result.duration_us = u64::try_from(attempt.duration.as_micros()).unwrap_or(u64::MAX);
        let accepts = attempt.accepts();
        match attempt.told {
            Told::Incident(incident)
                if !attempt.answered_first && self.is_right_death(index, &incident) =>
            {
                result.crash = incident.crash().cloned();
            }
            Told::Incident(incident) => {
                result.outcome = incident.outcome();
                result.cause = incident.to_string();
                result.crash = incident.crash().cloned();
            }
            Told::Skip(reason, reply) => {
                result = skipped(result, Skip::Claimed(cut(&reason)));
                result.got = Some(trimmed(*reply, Outcome::Pass));
            }
            Told::Answer(said, reply) => {
                if self.is_excused(index, said) {
                    return skipped(result, Skip::Claimed("answered `unsupported`".into()));
                }
                self.judge_answer(index, said, *reply, &mut result);
                if accepts && observe::wanted(&self.vectors[index]) {
                    add_sight(&mut result, attempt.sight);
                }
                self.check_budget(attempt.max_rss_kib, &mut result);
            }
        }
        if result.outcome.is_failure() {
            result.why.clone_from(&self.vectors[index].why);
        }
        result
    }

    fn judge_answer(&self, index: usize, said: Said, reply: Reply, result: &mut CaseResult) {
        let (vector, expect) = (&self.vectors[index], self.expect(index));
        let Verdict { outcome, cause, note } =
            judge(vector, expect, said, &reply, self.options.strictness);
        // A rule id of somebody else's vocabulary says nothing about ours.
        let ours = reply.rule.as_deref().is_some_and(|rule| self.known_rules.contains(rule));
        result.notes.extend(note.filter(|_| ours));
        result.outcome = outcome;
        result.cause = cause;
        result.got = Some(trimmed(reply, outcome));
    }

    /// Whether `unsupported` is a skip: a one-shot loader cannot declare its architectures beforehand.
    fn is_excused(&self, index: usize, said: Said) -> bool {
        let undeclared = matches!(self.implementation.connection, Connection::OneShot { .. })
            && self.implementation.describe.architectures.is_empty();
        let expect = self.expect(index);
        let foreign = expect.accepts() || self.vectors[index].needs.architecture.is_some();
        undeclared
            && foreign
            && said == Said::Stage(Stage::Unsupported)
            && !expect.stages.contains(&Stage::Unsupported)
    }

    /// The kernel counts the starting process's own peak into a child's, so a peak below ours means
    /// nothing.
    fn check_budget(&self, max_rss_kib: Option<u64>, result: &mut CaseResult) {
        let (Some(used), Some(budget)) = (max_rss_kib, self.options.max_rss_kib) else { return };
        if result.outcome == Outcome::Pass && used > budget && used > own_peak_kib() {
            result.outcome = Outcome::OverBudget;
            result.cause = format!("used {used} KiB of memory, {budget} KiB are allowed");
        }
    }

    /// Makes `result` final.
    pub(crate) fn settle(&self, result: CaseResult) {
        if self.count(&result) {
            self.abandon();
        }
        self.record(result);
    }

    /// Counts `result`, before deviations, if it is a failure; whether there are enough now. Whoever counts
    /// by himself makes it final with [`record`](Self::record).
    pub(crate) fn count(&self, result: &CaseResult) -> bool {
        if !self.coverage.outcome(result).is_failure() {
            return false;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        self.options.max_failures.is_some_and(|most| failures >= most)
    }

    /// Makes a result final that has been counted.
    pub(crate) fn record(&self, mut result: CaseResult) {
        self.coverage.apply(&mut result);
        let mut state = self.lock();
        // Told under the lock, so that `done` rises by one from call to call.
        let done = state.results.len() + 1;
        (self.sink)(Event::CaseDone { done, total: self.vectors.len(), result: &result });
        state.results.push(result);
    }

    pub(crate) fn find(&self, finding: Finding) {
        let mut state = self.lock();
        if !state.findings.contains(&finding) {
            state.findings.push(finding);
        }
    }

    pub(crate) fn restarted(&self, cause: &str) {
        (self.sink)(Event::Restarted { cause });
    }

    /// The results in vector order, and what else was found.
    pub(crate) fn finish(self) -> (Vec<CaseResult>, Vec<Finding>) {
        let mut state = self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.results.sort_by_key(|result| result.index);
        (state.results, state.findings)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn skipped(mut result: CaseResult, skip: Skip) -> CaseResult {
    let (Skip::Derived(reason) | Skip::Claimed(reason)) = &skip;
    result.cause.clone_from(reason);
    result.outcome = Outcome::Skip;
    result.skip = Some(skip);
    result
}

fn add_sight(result: &mut CaseResult, sight: Option<observe::Sight>) {
    let Some(sight) = sight else {
        result.observed = Some(Observed::NotSeen("the run does not observe".into()));
        return;
    };
    result.observed = Some(sight.observed);
    if let Some(cause) = sight.violation.filter(|_| result.outcome == Outcome::Pass) {
        result.outcome = Outcome::WrongImage;
        result.cause = cause;
    }
}
