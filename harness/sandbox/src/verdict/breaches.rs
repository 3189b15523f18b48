//! What calls must leave as it was.

use crate::convention::{direction_flag, float_control, kept_registers, poison_byte};
use crate::job::{Calls, Stack};
use crate::machine::{Fill, Region, Stop};
use crate::{Permissions, Plan, Program, Registers};

use super::results::{Memory, answers};
use super::{Breach, place};

/// The promises that calls broke, all of which landed.
pub(super) fn breaches(
    program: &Program,
    plan: &Plan,
    stops: &[Stop],
    memory: &Memory<'_>,
) -> Vec<Breach> {
    let calls = stops.iter().zip(&plan.setup.calls).zip(plan.stacks.iter().zip(&plan.buffers));
    let mut of_calls = calls.map(|((stop, call), (stack, buffers))| {
        let mut breaches = registers(plan, &call.registers, stop, stack);
        breaches.extend(caller_stack(stop, stack));
        breaches.extend(beside_buffers(buffers, memory));
        breaches
    });
    let mut breaches = of_calls.find(|breaches| !breaches.is_empty()).unwrap_or_default();
    if plan.job.calls == Calls::Pure {
        breaches.extend(not_repeatable(program, plan, stops, memory));
        breaches.extend(impure(program, plan, memory));
    }
    breaches
}

/// What must stand in registers.
fn registers(plan: &Plan, before: &Registers, stop: &Stop, stack: &Stack) -> Vec<Breach> {
    let convention = plan.job.convention;
    let after = &stop.registers;
    let kept = kept_registers(convention, before).into_iter();
    let kept = kept.zip(kept_registers(convention, after));
    let mut breaches: Vec<Breach> = kept
        .filter(|(before, after)| before != after)
        .map(|((name, before), (_, after))| Breach::Register { name, before, after })
        .collect();
    if after.sp() != stack.returned {
        breaches.push(Breach::StackPointer { expected: stack.returned, found: after.sp() });
    }
    if direction_flag(after) {
        breaches.push(Breach::DirectionFlag);
    }
    let control = float_control(before).into_iter().zip(float_control(after));
    let changed = control.filter(|(before, after)| before != after);
    breaches.extend(changed.map(|((name, before), (_, after))| Breach::FloatControl {
        name,
        before,
        after,
    }));
    breaches
}

/// The first byte of the caller's own stack that is not poison any more, as far as the stop shows it.
fn caller_stack(stop: &Stop, stack: &Stack) -> Option<Breach> {
    let sp = stop.registers.sp();
    let shown = sp.checked_add(stop.stack.len() as u64)?.min(stack.end);
    let start = sp.max(stack.caller);
    let callers = stop.stack.get((start - sp) as usize..shown.checked_sub(sp)? as usize)?;
    Some(Breach::CallerStack { address: first_unpoisoned(start, callers)? })
}

/// The first changed byte beside each buffer.
fn beside_buffers(buffers: &[(u64, usize)], memory: &Memory<'_>) -> Vec<Breach> {
    let beside = |(index, &(start, len)): (usize, &(u64, usize))| {
        let (region, bytes) = memory.around(start)?;
        let (before, rest) = bytes.split_at_checked((start - region.address) as usize)?;
        let after = rest.get(len..)?;
        let address = first_unpoisoned(region.address, before)
            .or_else(|| first_unpoisoned(start + len as u64, after))?;
        Some(Breach::BesideBuffer { index, offset: address.wrapping_sub(start).cast_signed() })
    };
    buffers.iter().enumerate().filter_map(beside).collect()
}

/// Address of the first byte that is not poison, of bytes that lie at `address`.
fn first_unpoisoned(address: u64, bytes: &[u8]) -> Option<u64> {
    let poison: [u8; 8] = std::array::from_fn(|at| poison_byte(address + at as u64));
    let chunk = bytes.chunks(8).position(|chunk| chunk != &poison[..chunk.len()])?;
    let within =
        bytes[chunk * 8..].iter().zip(poison).position(|(&byte, poison)| byte != poison)?;
    Some(address + (chunk * 8 + within) as u64)
}

/// Two calls with the same arguments that came back with different results.
fn not_repeatable(
    program: &Program,
    plan: &Plan,
    stops: &[Stop],
    memory: &Memory<'_>,
) -> Option<Breach> {
    let mut values = answers(program, plan, stops, memory).into_iter().map(|answer| answer.value);
    let (first, second) = (values.next()?, values.next()?);
    (first != second).then_some(Breach::NotRepeatable { first, second })
}

/// The first byte of segments and buffers that is not what it was. What lies beside buffers is a breach of
/// every call, not only of pure ones.
fn impure(program: &Program, plan: &Plan, memory: &Memory<'_>) -> Option<Breach> {
    let changed = |(region, after): (&Region, &[u8])| {
        let bytes = region.offset as usize..region.offset as usize + region.bytes.len();
        let ours = region.permissions == Permissions::Rw && region.fill == Fill::Zero;
        let at = after.iter().enumerate().position(|(at, &byte)| match bytes.contains(&at) {
            true => byte != region.bytes[at - bytes.start],
            false => ours && byte != 0,
        })?;
        Some(region.address + at as u64)
    };
    let address = memory.regions().find_map(changed)?;
    Some(Breach::Impure { place: place::place(&plan.setup, program, address) })
}
