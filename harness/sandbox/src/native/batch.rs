//! Several cases in one process, one after the other, for as long as they return.
//!
//! This is for throughput: a case that returns could have spoilt the ones after it, since they share a process and
//! its stack below the arguments, so whatever must be trusted is run by [`Machine::run`]. The process works through
//! a list of steps without a single system call: copy what the case finds in memory, call, copy what it left.

use std::time::Duration;

use nix::unistd::Pid;

use super::arch::{self, BATCH_LANDING, Context, Saved};
use super::shared::{Command, Control, Piece, RawStop, SCRATCH, SLICES_AT};
use super::{Native, check, protection, unfit, watch};
use crate::limits::{BATCH_LOW, GRACE, LANDING, MAX_BATCH, MAX_NATIVE_BYTES, PAGE, STACK_WINDOW};
use crate::machine::{
    Machine as _, MachineError, Region, Report, Setup, Stop, StopReason, Tracing,
};
use crate::{Architecture, Permissions};

/// One step: what to do and three numbers, see the stub.
type Step = [u64; 4];
const COPY: u64 = 0;
const CALL: u64 = 1;
const END: u64 = 2;

/// Bytes of a step.
const STEP: u64 = size_of::<Step>() as u64;

/// Runs all setups, those that can in batches.
pub(super) fn run(native: &mut Native, setups: &[Setup]) -> Result<Vec<Report>, MachineError> {
    let mut reports = Vec::with_capacity(setups.len());
    while let Some(first) = setups.get(reports.len()) {
        let rest = &setups[reports.len()..];
        let alike = rest.iter().take(MAX_BATCH).take_while(|setup| fits(first, setup)).count();
        let goal = reports.len() + alike.max(1);
        if alike > 1 {
            batch(native, &rest[..alike], &mut reports)?;
        }
        // What ended the batch, or could not be part of one, has a process of its own.
        if let Some(setup) = setups.get(reports.len()).filter(|_| reports.len() < goal) {
            reports.push(native.run(setup)?);
        }
    }
    Ok(reports)
}

/// Whether a setup can follow another in one process: one call, and the same memory but for what is written.
fn fits(first: &Setup, setup: &Setup) -> bool {
    let alike = |(a, b): (&Region, &Region)| {
        let writable = a.permissions == Permissions::Rw;
        (a.address, a.size, a.permissions, a.fill, a.kept)
            == (b.address, b.size, b.permissions, b.fill, b.kept)
            && super::written(a) == super::written(b)
            && (writable || (a.offset == b.offset && a.bytes == b.bytes))
    };
    setup.architecture == Architecture::X86_64
        && setup.calls.len() == 1
        && setup.tracing == Tracing::None
        && setup.landing == LANDING
        && first.regions.len() == setup.regions.len()
        && setup.regions.iter().all(|region| region.address < BATCH_LOW)
        && first.regions.iter().zip(&setup.regions).all(alike)
}

/// Memory of a batch that belongs to the machine: at which address, and where in the file.
struct Area {
    address: u64,
    at: u64,
    used: u64,
    size: u64,
}

impl Area {
    fn take(&mut self, size: u64) -> (u64, u64) {
        let place = (self.address + self.used, self.at + self.used);
        self.used += size;
        place
    }

    fn piece(&self, permissions: Permissions) -> Piece {
        Piece {
            address: self.address,
            size: self.size,
            at: self.at,
            protection: protection(permissions),
            private: 0,
        }
    }
}

/// A part of a region that is restored for each case, and kept after it where `kept` says so.
struct Part {
    address: u64,
    size: u64,
    region: usize,
    from: u64,
    kept: Option<u64>,
}

fn parts(setup: &Setup) -> Vec<Part> {
    let writable =
        setup.regions.iter().enumerate().filter(|(_, r)| r.permissions == Permissions::Rw);
    writable
        .map(|(index, region)| {
            let (from, to) = super::written(region);
            let kept = region.kept.then_some(region.size);
            Part { address: region.address + from, size: to - from, region: index, from, kept }
        })
        .collect()
}

/// Runs setups that are alike in one process; adds the reports of those that returned.
fn batch(
    native: &mut Native,
    setups: &[Setup],
    reports: &mut Vec<Report>,
) -> Result<(), MachineError> {
    let Some(first) = setups.first() else { return Ok(()) };
    native.zygote()?;
    native.write(first)?;
    let parts = parts(first);
    let given: u64 = parts.iter().map(|part| part.size).sum();
    let left: u64 =
        parts.iter().filter_map(|part| part.kept).map(|size| size.next_multiple_of(8)).sum();
    let left = left + size_of::<Saved>() as u64 + STACK_WINDOW as u64;
    let left = left.next_multiple_of(16);
    let count = setups.len() as u64;
    let steps = count * (2 * parts.len() as u64 + 2) + 1;
    let start = native.end_of_slices();
    let asked = (steps * STEP + count * (size_of::<Context>() as u64 + given))
        .next_multiple_of(PAGE)
        + PAGE;
    let mut question = Area { address: BATCH_LOW, at: start, used: 0, size: asked };
    let answered = (count * left).next_multiple_of(PAGE);
    let mut answer =
        Area { address: BATCH_LOW + asked + PAGE, at: start + asked, used: 0, size: answered };
    if start + asked + answered > SLICES_AT + MAX_NATIVE_BYTES {
        return Err(unfit("a batch of this size has no room".to_owned()));
    }
    let (list, list_at) = question.take((steps * STEP).next_multiple_of(64));
    let mut script = Vec::with_capacity(steps as usize);
    let mut results = Vec::with_capacity(setups.len());
    for setup in setups {
        check(setup)?;
        results.push(case(native, setup, &parts, &mut question, &mut answer, &mut script)?);
    }
    script.push([END, 0, 0, 0]);
    let bytes: Vec<u8> = script.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    native.shared.bytes(list_at, bytes.len()).copy_from_slice(&bytes);
    native.add_pieces(&[question.piece(Permissions::R), answer.piece(Permissions::Rw)])?;
    let control = native.shared.control();
    control.command = Command::Batch as u32;
    control.entry = list;
    native.ask(first.budget.wall + GRACE)?;
    let done = finished(native, list, &script)?;
    for (setup, result) in setups.iter().zip(results).take(done) {
        reports.push(report(native, setup, &parts, &result));
    }
    Ok(())
}

/// Where a case leaves things, in the file.
struct Left {
    saved: u64,
    stack: u64,
    kept: Vec<u64>,
}

/// Adds the steps of one case.
fn case(
    native: &mut Native,
    setup: &Setup,
    parts: &[Part],
    question: &mut Area,
    answer: &mut Area,
    script: &mut Vec<Step>,
) -> Result<Left, MachineError> {
    let call = setup.calls.first().ok_or_else(|| unfit("it makes no call".to_owned()))?;
    let context =
        Context::of(&call.registers).ok_or_else(|| unfit("another processor".to_owned()))?;
    let (word_at, word) = arch::return_to(&call.registers, BATCH_LANDING);
    for part in parts {
        let (address, at) = question.take(part.size);
        let region = &setup.regions[part.region];
        native.write_slice(region, part.from, part.from + part.size, at);
        if (part.address..part.address + part.size).contains(&word_at) {
            let place = at + (word_at - part.address);
            native.shared.bytes(place, 8).copy_from_slice(&word.to_le_bytes());
        }
        script.push([COPY, part.address, address, part.size]);
    }
    let (address, at) = question.take(size_of::<Context>() as u64);
    native.shared.write_context(at, &context);
    let (saved, saved_at) = answer.take(size_of::<Saved>() as u64);
    script.push([CALL, address, saved + arch::SAVED_TOP, 0]);
    let (stack, stack_at) = answer.take(STACK_WINDOW as u64);
    script.push([COPY, stack, arch::returned_sp(&call.registers), STACK_WINDOW as u64]);
    let mut kept = Vec::new();
    for part in parts {
        let Some(size) = part.kept else { continue };
        let (to, to_at) = answer.take(size.next_multiple_of(8));
        script.push([COPY, to, part.address, size]);
        kept.push(to_at);
    }
    answer.used = answer.used.next_multiple_of(16);
    Ok(Left { saved: saved_at, stack: stack_at, kept })
}

/// How many cases returned.
fn finished(native: &mut Native, list: u64, script: &[Step]) -> Result<usize, MachineError> {
    let control = native.shared.control();
    let calls = |until: usize| script.iter().take(until).filter(|step| step[0] == CALL).count();
    if control.batch_ended != 0 {
        return Ok(calls(script.len()));
    }
    if control.stops == 0 {
        native.failure()?;
        return Err(unfit("a batch ended without a word".to_owned()));
    }
    // The step of the call under way; where the code spoilt the number, none is believed.
    let step = control.batch_at.wrapping_sub(list) / STEP;
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let at_call = script.get(step).is_some_and(|step| step[0] == CALL);
    Ok(if at_call { calls(step) } else { 0 })
}

fn report(native: &mut Native, setup: &Setup, parts: &[Part], left: &Left) -> Report {
    let registers = native.shared.saved(left.saved).registers();
    let stack = native.shared.bytes(left.stack, STACK_WINDOW).to_vec();
    let sizes = parts.iter().filter_map(|part| part.kept);
    let memory = left.kept.iter().zip(sizes);
    debug_assert_eq!(setup.calls.len(), 1);
    Report {
        stops: vec![Stop { reason: StopReason::Landed, registers, stack }],
        memory: memory.map(|(at, size)| native.shared.bytes(*at, size as usize).to_vec()).collect(),
        cpu: Duration::ZERO, // not told apart within a batch
        instructions: None,
        trace: Vec::new(),
    }
}

/// In the zygote: a batch has stopped, at its end or in a case.
pub(super) fn stopped(thread: Pid, control: &mut Control, stop: &RawStop) {
    if stop.registers.ended_batch(stop.signal) {
        control.batch_ended = 1;
        return;
    }
    watch::push(control, stop);
    let mut step = [0; 8];
    control.batch_at = match watch::read(thread, SCRATCH + 16, &mut step) {
        8 => u64::from_le_bytes(step),
        _ => 0,
    };
}
