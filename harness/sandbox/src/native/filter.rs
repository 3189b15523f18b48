//! The seccomp filter: which system calls, made from where.
//!
//! It is installed once, in the zygote, and inherited, since installing one for each case costs a quarter of a
//! fork. So it must serve both: the zygote's own code may do what it likes, the addresses of cases nothing. A case
//! cannot run the zygote's code: the stub unmaps it with the two `munmap` calls that are allowed to it, of exactly
//! the two ranges around the arena; making them again does nothing.

use std::io;

use nix::libc::{self, sock_filter, sock_fprog};

use super::arch::{AUDIT, sites};
use crate::limits::{ABOVE, ARENA_HIGH, ARENA_LOW};

/// Offsets of the fields of `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const POINTER: u32 = 8;
const ARGUMENTS: u32 = 16;

/// A comparison whose jumps are filled in when the program is complete.
enum Step {
    Load(u32),
    /// Goes on if equal.
    Equal(u32, Else),
    /// Decides if at least so much, else goes on.
    AtLeast(u32, Decision),
    Decide(Decision),
}

#[derive(Clone, Copy)]
enum Decision {
    Allow,
    Trap,
}

/// Where a comparison that fails goes.
#[derive(Clone, Copy)]
enum Else {
    Trap,
    /// So many steps further.
    Skip(usize),
}

/// Installs the filter for this thread and all its descendants, for good.
///
/// # Errors
/// When the kernel refuses.
#[expect(unsafe_code, reason = "no crate builds filters that look at the instruction pointer")]
pub(super) fn install() -> io::Result<()> {
    let mut program = assemble(&steps());
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let description = sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program that `description` describes and keeps no pointer.
    let status = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW, // cases hold no secrets of their own
            &raw const description,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn high(address: u64) -> u32 {
    (address >> 32) as u32
}

fn low(address: u64) -> u32 {
    (address & 0xffff_ffff) as u32
}

const _: () = assert!(ARENA_LOW & 0xffff_ffff == 0 && ARENA_HIGH & 0xffff_ffff == 0);

fn steps() -> Vec<Step> {
    let ranges = [(0, ARENA_LOW), (ARENA_HIGH, ABOVE - ARENA_HIGH)];
    let unmapping: Vec<Step> =
        sites().into_iter().zip(ranges).flat_map(|(site, range)| unmapping(site, range)).collect();
    let mut steps = vec![
        Step::Load(ARCHITECTURE),
        Step::Equal(AUDIT, Else::Trap),
        Step::Load(POINTER + 4),
        Step::AtLeast(high(ABOVE) + 1, Decision::Trap), // the kernel's own pages, such as vsyscall
        Step::AtLeast(high(ARENA_HIGH), Decision::Allow),
        Step::AtLeast(high(ARENA_LOW) + 1, Decision::Trap),
        // The stub lies in the arena's first 4 GiB; whatever is below the arena is the zygote's.
        Step::Equal(high(ARENA_LOW), Else::Skip(unmapping.len() + 1)),
    ];
    steps.extend(unmapping);
    steps.extend([Step::Decide(Decision::Trap), Step::Decide(Decision::Allow)]);
    steps
}

/// Allows `munmap` of one range from one place, else goes on after itself.
fn unmapping(site: u64, (start, length): (u64, u64)) -> Vec<Step> {
    let munmap = u32::try_from(libc::SYS_munmap).unwrap_or(u32::MAX);
    let words = [
        (POINTER, low(site)),
        (NUMBER, munmap),
        (ARGUMENTS, low(start)),
        (ARGUMENTS + 4, high(start)),
        (ARGUMENTS + 8, low(length)),
        (ARGUMENTS + 12, high(length)),
    ];
    let left = |index: usize| 2 * (words.len() - index - 1) + 1;
    let compare = words.iter().enumerate().flat_map(|(index, (offset, value))| {
        [Step::Load(*offset), Step::Equal(*value, Else::Skip(left(index)))]
    });
    compare.chain([Step::Decide(Decision::Allow)]).collect()
}

fn assemble(steps: &[Step]) -> Vec<sock_filter> {
    // Two instructions after the last step: trap, allow.
    let to_trap = |index: usize| steps.len() - index - 1;
    let decide = |index: usize, decision| match decision {
        Decision::Trap => to_trap(index),
        Decision::Allow => to_trap(index) + 1,
    };
    let jump = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
    let instruction = |code: u32, k: u32, jt: u8, jf: u8| sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt,
        jf,
        k,
    };
    let compare = libc::BPF_JMP | libc::BPF_K;
    let mut program: Vec<sock_filter> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| match step {
            Step::Load(offset) => {
                instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, *offset, 0, 0)
            }
            Step::Equal(value, Else::Trap) => {
                instruction(compare | libc::BPF_JEQ, *value, 0, jump(to_trap(index)))
            }
            Step::Equal(value, Else::Skip(distance)) => {
                instruction(compare | libc::BPF_JEQ, *value, 0, jump(*distance))
            }
            Step::AtLeast(value, decision) => {
                instruction(compare | libc::BPF_JGE, *value, jump(decide(index, *decision)), 0)
            }
            Step::Decide(decision) => {
                let far = u32::try_from(decide(index, *decision)).unwrap_or(u32::MAX);
                instruction(libc::BPF_JMP | libc::BPF_JA, far, 0, 0)
            }
        })
        .collect();
    for action in [libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_ALLOW] {
        program.push(instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0));
    }
    program
}
