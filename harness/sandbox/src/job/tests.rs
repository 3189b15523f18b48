//! Where things lie, and what cannot be planned.

use harness_protocol::HexBytes;
use rstest::rstest;

use super::*;
use crate::limits::{GUARD, MAX_IMAGE, PAGE, POISON, STACK_SIZE, USER_END, WORK_LOW, WORK_SIZE};
use crate::machine::{Fill, Region};
use crate::{Permissions, Registers, Segment};

fn segment(name: &str, address: u64, size: u64, permissions: Permissions) -> Segment {
    Segment { name: name.into(), address, bytes: vec![0xc3], size, permissions }
}

fn program(architecture: Architecture, segments: Vec<Segment>) -> Program {
    Program { architecture, segments, symbols: Vec::new() }
}

fn usual() -> Program {
    let code = segment("code", 0x3000_0000_0000, 0x1800, Permissions::Rx);
    let data = segment("data", 0x3000_0000_2000, 0x10, Permissions::Rw);
    program(Architecture::X86_64, vec![code, data])
}

fn job(args: Vec<Argument>) -> Job {
    Job {
        entry: 0x3000_0000_0000,
        convention: Convention::SystemV,
        args,
        returns: TypeName::Void,
        calls: Calls::Once,
        budget: Budget::default(),
    }
}

fn buffer(len: usize) -> Argument {
    Argument::Pointer { bytes: Some(HexBytes((0..len).map(|n| n as u8).collect())) }
}

fn region<'a>(plan: &'a Plan, name: &str) -> &'a Region {
    let mut regions = plan.setup.regions.iter();
    regions.find(|region| region.name == name).expect("there is such a region")
}

/// What a region holds at an address before the run.
fn byte(region: &Region, address: u64) -> u8 {
    let offset = address - region.address;
    match (offset.checked_sub(region.offset), region.fill) {
        (Some(at), _) if (at as usize) < region.bytes.len() => region.bytes[at as usize],
        (_, Fill::Zero) => 0,
        (_, Fill::Poison) => POISON.to_le_bytes()[(address % 8) as usize],
    }
}

#[test]
fn a_call_has_a_poisoned_stack_with_its_arguments() {
    let args = vec![Argument::Int64 { value: 7 }; 8];
    let plan = plan(&usual(), job(args)).expect("planned");
    let stack = region(&plan, "stack");
    assert_eq!((stack.size, stack.permissions), (STACK_SIZE, Permissions::Rw));
    assert!(!stack.kept, "a stack is the call's own affair");
    let sp = plan.setup.calls[0].registers.sp();
    let word =
        |address| u64::from_le_bytes(std::array::from_fn(|n| byte(stack, address + n as u64)));
    assert_eq!(word(sp), LANDING);
    assert_eq!((word(sp + 8), word(sp + 16)), (7, 7));
    assert_eq!((word(sp - 8), word(sp + 24)), (POISON, POISON));
    assert_eq!(
        plan.stacks[0],
        Stack { returned: sp + 8, caller: sp + 24, end: stack.address + stack.size }
    );
    assert!(plan.stacks[0].end - plan.stacks[0].caller >= CALLER_AREA);
}

#[rstest]
#[case::nothing(0, 0)]
#[case::byte(1, 15)]
#[case::aligned(64, 0)]
#[case::page(4096, 0)]
#[case::more_than_a_page(4097, 15)]
fn buffers_end_with_their_page(#[case] len: usize, #[case] slack: u64) {
    let plan = plan(&usual(), job(vec![buffer(len)])).expect("planned");
    let (address, bytes) = plan.buffers[0][0];
    let region = region(&plan, "buffer 0");
    assert_eq!(bytes, len);
    assert_eq!(address % 16, 0);
    assert_eq!(region.size % PAGE, 0);
    assert_eq!(region.address + region.size - (address + len as u64), slack);
    assert!(region.kept);
    assert!((0..len as u64).all(|n| byte(region, address + n) == n as u8));
    assert!(address == region.address || byte(region, address - 1) == 0xba);
    assert!(matches!(&plan.setup.calls[0].registers,
        Registers::X86_64(it) if it.general[7] == address));

    let exact = plan.clone().with_byte_bounds();
    let region = self::region(&exact, "buffer 0");
    assert!(exact.setup.byte_bounds);
    assert_eq!(region.address + region.size, address + len as u64);
}

#[test]
fn null_pointers_have_no_buffer() {
    let null = Argument::Pointer { bytes: None };
    let plan = plan(&usual(), job(vec![null, buffer(8)])).expect("planned");
    let Registers::X86_64(it) = &plan.setup.calls[0].registers else { panic!("wrong processor") };
    assert_eq!(plan.buffers[0].len(), 1);
    assert_eq!((it.general[7], it.general[6]), (0, plan.buffers[0][0].0));
}

#[test]
fn pure_calls_share_buffers_and_calls_at_once_share_nothing() {
    let calls = |calls| {
        let job = Job { calls, ..job(vec![buffer(8)]) };
        plan(&usual(), job).expect("planned")
    };
    let pure = calls(Calls::Pure);
    assert_eq!(pure.setup.calls.len(), 2);
    assert!(!pure.setup.concurrent);
    assert_eq!(pure.buffers[0], pure.buffers[1]);
    assert_ne!(pure.stacks[0], pure.stacks[1]);

    let at_once = calls(Calls::AtOnce(3));
    assert!(at_once.setup.concurrent);
    let mut addresses: Vec<_> = at_once.buffers.iter().map(|of_call| of_call[0].0).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    assert_eq!(region(&at_once, "buffer 0 of call 2").bytes.len(), 8);
    let mut names: Vec<_> = at_once.setup.regions.iter().map(|region| &region.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), at_once.setup.regions.len(), "every region has a name of its own");
}

#[rstest]
#[case(Architecture::X86_64, Convention::Win64)]
#[case(Architecture::Arm64, Convention::Aapcs64)]
#[case(Architecture::X86_32, Convention::Stdcall)]
fn regions_ascend_with_guards_between(
    #[case] architecture: Architecture,
    #[case] convention: Convention,
) {
    let program = program(architecture, vec![segment("code", 0x40_0000, 1, Permissions::Rx)]);
    let args = vec![buffer(5000), buffer(0)];
    let job = Job { convention, args, calls: Calls::AtOnce(MAX_THREADS), ..job(Vec::new()) };
    let plan = plan(&program, job).expect("planned");
    let regions = &plan.setup.regions;
    assert_eq!(regions.len(), 1 + 3 * MAX_THREADS);
    for pair in regions.windows(2) {
        let gap = pair[1].address - (pair[0].address + pair[0].size);
        assert!(gap >= GUARD, "{pair:?}");
        assert!(pair[1].address.is_multiple_of(PAGE));
    }
    let end = regions.last().map(|last| last.address + last.size);
    assert!(architecture != Architecture::X86_32 || end < Some(1 << 32));
    assert!(
        regions.iter().all(|it| !(it.address..it.address + it.size).contains(&plan.setup.landing))
    );
}

#[rstest]
#[case::between_pages(0x3000_0000_0010, 1, "it does not start on a page")]
#[case::more_bytes_than_memory(0x3000_0000_0000, 0, "")]
#[case::kernel(USER_END - PAGE, 2 * PAGE, "it leaves the addresses that there are")]
#[case::around(u64::MAX - PAGE + 1, 2 * PAGE, "it leaves the addresses that there are")]
fn segments_that_cannot_be(#[case] address: u64, #[case] size: u64, #[case] expected: &str) {
    let segment = segment("code", address, size, Permissions::Rx);
    let result = plan(&program(Architecture::X86_64, vec![segment]), job(Vec::new()));
    match result {
        // Without memory there is nothing to lay out, nor to be wrong.
        Ok(plan) => assert!(expected.is_empty() && plan.setup.regions.len() == 1),
        Err(PlanError::Segment { why, .. }) => assert_eq!(why, expected),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_segment_with_more_bytes_than_memory_is_refused() {
    let mut code = segment("code", 0x3000_0000_0000, 1, Permissions::Rx);
    code.bytes = vec![0; 2];
    let result = plan(&program(Architecture::X86_64, vec![code]), job(Vec::new()));
    assert!(matches!(result, Err(PlanError::Segment { why, .. }) if why.contains("more bytes")));
}

#[rstest]
#[case::same_page(0x3000_0000_1000, true)]
#[case::next_page(0x3000_0000_2000, false)]
#[case::landing(LANDING / PAGE * PAGE, true)]
#[case::stack(WORK_LOW + GUARD, true)]
#[case::below(LANDING / PAGE * PAGE - PAGE, false)]
#[case::behind(WORK_LOW + WORK_SIZE, false)]
fn overlaps_are_refused(#[case] address: u64, #[case] refused: bool) {
    let segments = vec![
        segment("code", 0x3000_0000_0000, 0x1001, Permissions::Rx),
        segment("data", address, 1, Permissions::Rw),
    ];
    let result = plan(&program(Architecture::X86_64, segments), job(Vec::new()));
    match result {
        Ok(_) => assert!(!refused),
        Err(PlanError::Overlap { .. }) => assert!(refused),
        Err(other) => panic!("{other}"),
    }
}

#[rstest]
#[case::arguments(Job { args: vec![buffer(0); MAX_ARGUMENTS + 1], ..job(Vec::new()) }, "arguments")]
#[case::threads(Job { calls: Calls::AtOnce(MAX_THREADS + 1), ..job(Vec::new()) }, "calls at once")]
#[case::buffer(job(vec![buffer(MAX_BUFFER + 1)]), "bytes of a buffer")]
#[case::all_buffers(
    Job { calls: Calls::AtOnce(MAX_THREADS), ..job(vec![buffer(MAX_BUFFER); 16]) },
    "bytes of stacks and buffers"
)]
fn caps_hold(#[case] job: Job, #[case] of: &str) {
    let result = plan(&usual(), job);
    assert!(
        matches!(result, Err(PlanError::TooMany { what, given, most }) if what == of && given > most)
    );
}

#[test]
fn memory_is_capped_and_conventions_belong_to_processors() {
    let large = segment("data", 0x3000_0000_0000, MAX_IMAGE + 1, Permissions::Rw);
    let result = plan(&program(Architecture::X86_64, vec![large]), job(Vec::new()));
    assert!(matches!(result, Err(PlanError::TooMany { .. })));
    let result = plan(&program(Architecture::Arm64, Vec::new()), job(Vec::new()));
    assert!(matches!(result, Err(PlanError::Convention { .. })));
    let result = plan(&usual(), Job { calls: Calls::AtOnce(0), ..job(Vec::new()) });
    assert_eq!(result, Err(PlanError::NoCalls));
}
