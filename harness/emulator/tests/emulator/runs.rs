//! What holds for every architecture: what is reported, what one run leaves to the next, and what becomes of an
//! emulator that dies.

use std::time::Duration;

use crate::cases::{
    CODE, DATA, DATA_SIZE, LANDING, SP, STACK, STACK_SIZE, registers, setup, words,
};
use crate::{machine, run};
use harness_sandbox::limits::{POISON, STACK_WINDOW};
use harness_sandbox::{
    Architecture, Fill, Machine, MachineError, Permissions, Registers, Resource, Setup, StopReason,
    Tracing,
};

const ALL: [Architecture; 3] = [Architecture::X86_64, Architecture::Arm64, Architecture::X86_32];

const ARM64_RET: u32 = 0xd65f_03c0;

/// Code that returns.
fn returning(architecture: Architecture) -> Vec<u8> {
    if architecture == Architecture::Arm64 { words(&[ARM64_RET]) } else { vec![0xc3] }
}

/// Code that returns `value`.
fn constant(architecture: Architecture, value: u16) -> Vec<u8> {
    match architecture {
        Architecture::Arm64 => words(&[0xd280_0000 | u32::from(value) << 5, ARM64_RET]), // movz x0, …
        _ => {
            let mut code = vec![0xb8]; // mov eax, …
            code.extend(u32::from(value).to_le_bytes());
            code.push(0xc3);
            code
        }
    }
}

/// Code that goes round forever, three instructions each time.
fn endless(architecture: Architecture) -> Vec<u8> {
    match architecture {
        Architecture::Arm64 => words(&[0xd503_201f, 0xd503_201f, 0x17ff_fffe]), // nop; nop; b .-8
        _ => b"\x90\x90\xeb\xfc".to_vec(),                                      // nop; nop; jmp .-2
    }
}

/// Where the first result of a call is.
fn result(registers: &Registers) -> u64 {
    match registers {
        Registers::X86_64(it) => it.general[0],
        Registers::Arm64(it) => it.x[0],
        Registers::X86_32(it) => it.general[0].into(),
    }
}

#[test]
fn registers_come_back_as_they_went_in() {
    for architecture in ALL {
        let mut setup = setup(architecture, &returning(architecture));
        let mut expected = registers(architecture);
        match &mut expected {
            Registers::X86_64(it) => (it.mxcsr, it.fpu_control, it.rflags) = (0x5fa0, 0x27f, 0xed7),
            Registers::X86_32(it) => (it.mxcsr, it.fpu_control, it.eflags) = (0x5fa0, 0x27f, 0xed7),
            Registers::Arm64(it) => (it.fpcr, it.nzcv) = (0x0300_0000, 0xa000_0000),
        }
        setup.calls[0].registers = expected.clone();
        match &mut expected {
            Registers::X86_64(it) => (it.rip, it.general[4]) = (LANDING, SP + 8),
            Registers::X86_32(it) => (it.eip, it.general[4]) = (LANDING as u32, SP as u32 + 4),
            Registers::Arm64(it) => it.pc = LANDING,
        }
        let report = run(&setup);
        assert_eq!(report.stops.len(), 1);
        assert_eq!(report.stops[0].reason, StopReason::Landed);
        assert_eq!(report.stops[0].registers, expected, "{architecture}");
        assert_eq!(report.instructions, Some(1));
    }
}

#[test]
fn memory_is_as_the_setup_says() {
    for architecture in ALL {
        let mut setup = setup(architecture, &returning(architecture));
        setup.regions[2].offset = 3;
        setup.regions[2].bytes = b"here".to_vec();
        let report = run(&setup);
        let mut expected = POISON.to_le_bytes().repeat(DATA_SIZE as usize / 8);
        expected[3..7].copy_from_slice(b"here");
        assert!(report.memory == [expected], "only the data is kept");
        let sp = report.stops[0].registers.sp();
        assert_eq!(
            report.stops[0].stack.len() as u64,
            (STACK + STACK_SIZE - sp).min(STACK_WINDOW as u64)
        );
        assert!(report.stops[0].stack.ends_with(&POISON.to_le_bytes()));
    }
}

#[test]
fn no_run_sees_what_another_left() {
    let mut machine = machine();
    for architecture in ALL {
        let setups: Vec<Setup> =
            (0..1000).map(|n| setup(architecture, &constant(architecture, n))).collect();
        let reports = machine.run_batch(&setups).unwrap();
        for (n, report) in reports.iter().enumerate() {
            assert_eq!(report.stops[0].reason, StopReason::Landed);
            assert_eq!(result(&report.stops[0].registers) & 0xffff_ffff, n as u64, "stale code");
        }
    }
}

#[test]
fn written_memory_is_restored_before_the_next_run() {
    // mov rax, DATA + 0x1000 - 4; mov [rax], rax; lock inc [rax + 0x100]; push rax …; ret: on both pages.
    let address = DATA + 0x1000 - 4;
    let mut code = vec![0x48, 0xb8];
    code.extend(address.to_le_bytes());
    code.extend(b"\x48\x89\x00\xf0\x48\xff\x80\x00\x01\x00\x00\x50\x58\xc3");
    let writing = setup(Architecture::X86_64, &code);
    let mut reading = setup(Architecture::X86_64, b"\xc3");
    reading.regions[3].kept = true;
    let mut machine = machine();
    let fresh = machine.run(&reading).unwrap();
    let written = machine.run(&writing).unwrap();
    assert_eq!(written.memory[0][0xffc..0x1004], address.to_le_bytes());
    assert_ne!(written.memory[0][0x10fc..0x1104], fresh.memory[0][0x10fc..0x1104]);
    assert!(machine.run(&reading).unwrap().memory == fresh.memory, "both pages, and the stack");
}

#[test]
fn the_budget_of_instructions_is_exact() {
    let mut machine = machine();
    for architecture in ALL {
        for (most, offset) in [(0, 0), (1, 1), (2, 2), (3, 0), (1000, 1), (99_999, 0)] {
            let mut setup = setup(architecture, &endless(architecture));
            setup.budget.instructions = Some(most);
            let report = machine.run(&setup).unwrap();
            let width = if architecture == Architecture::Arm64 { 4 } else { 1 };
            assert_eq!(report.stops[0].reason, StopReason::Exhausted(Resource::Instructions));
            assert_eq!(report.instructions, Some(most), "{architecture}");
            assert_eq!(
                report.stops[0].registers.pc(),
                CODE + offset * width,
                "{architecture} {most}"
            );
        }
        // Two instructions: enough is as good as plenty.
        for (most, enough) in [(1, false), (2, true), (3, true)] {
            let mut setup = setup(architecture, &constant(architecture, 7));
            setup.budget.instructions = Some(most);
            let report = machine.run(&setup).unwrap();
            assert_eq!(
                report.stops[0].reason == StopReason::Landed,
                enough,
                "{architecture} {most}"
            );
            assert_eq!(report.instructions, Some(most.min(2)));
        }
    }
}

#[test]
fn repetitions_count_as_instructions() {
    // mov ecx, 100; mov edi, DATA; rep stosb; ret
    let mut code = b"\xb9\x64\0\0\0\xbf".to_vec();
    code.extend((DATA as u32).to_le_bytes());
    code.extend(b"\xf3\xaa\xc3");
    // Each of the hundred counts, and so does the look that finds nothing left to repeat.
    let mut machine = machine();
    for (budget, written, offset) in [(50, 48, Some(10)), (103, 100, Some(12)), (104, 100, None)] {
        let mut setup = setup(Architecture::X86_64, &code);
        setup.regions[2].fill = Fill::Zero;
        setup.budget.instructions = Some(budget);
        let report = machine.run(&setup).unwrap();
        assert_eq!(report.instructions, Some(budget));
        assert_eq!(report.memory[0].iter().filter(|byte| **byte != 0).count(), written);
        let pc = offset.map_or(LANDING, |offset| CODE + offset);
        assert_eq!(report.stops[0].registers.pc(), pc, "{budget}");
    }
}

#[test]
fn budgets_of_time_end_what_does_not_end() {
    let mut machine = machine();
    for (cpu, wall, expected) in [
        (Duration::from_millis(20), Duration::from_secs(60), Resource::Cpu),
        (Duration::from_secs(60), Duration::from_millis(20), Resource::Wall),
    ] {
        let mut setup = setup(Architecture::X86_64, &endless(Architecture::X86_64));
        setup.budget.instructions = None;
        (setup.budget.cpu, setup.budget.wall) = (cpu, wall);
        let report = machine.run(&setup).unwrap();
        assert_eq!(report.stops[0].reason, StopReason::Exhausted(expected));
    }
}

#[test]
fn traces_say_where_the_code_went() {
    // mov ecx, 3; loop: nop; dec ecx; jnz loop; ret
    let code = b"\xb9\x03\0\0\0\x90\xff\xc9\x75\xfb\xc3";
    let at = |offsets: &[u64]| offsets.iter().map(|offset| CODE + offset).collect::<Vec<_>>();
    let mut machine = machine();
    for architecture in [Architecture::X86_64, Architecture::X86_32] {
        let mut setup = setup(architecture, code);
        assert!(machine.run(&setup).unwrap().trace.is_empty());
        setup.tracing = Tracing::Blocks;
        assert_eq!(machine.run(&setup).unwrap().trace, at(&[0, 5, 10]));
        setup.tracing = Tracing::Instructions;
        let all = [0, 5, 6, 8, 5, 6, 8, 5, 6, 8, 10];
        assert_eq!(machine.run(&setup).unwrap().trace, at(&all));
    }
    // mov x0, #3; loop: nop; sub x0, x0, #1; cbnz x0, loop; ret
    let code = words(&[0xd280_0060, 0xd503_201f, 0xd100_0400, 0xb5ff_ffc0, ARM64_RET]);
    let mut setup = setup(Architecture::Arm64, &code);
    setup.tracing = Tracing::Blocks;
    assert_eq!(machine.run(&setup).unwrap().trace, at(&[0, 4, 16]));
}

#[test]
fn calls_are_made_one_after_the_other_in_the_same_memory() {
    // inc dword [DATA]; mov eax, [DATA]; ret
    let address = (DATA as u32).to_le_bytes();
    let code = [&b"\xff\x04\x25"[..], &address, b"\x8b\x04\x25", &address, b"\xc3"].concat();
    let mut setup = setup(Architecture::X86_64, &code);
    setup.regions[2].fill = Fill::Zero;
    setup.calls = vec![setup.calls[0].clone(); 3];
    let report = run(&setup);
    let results: Vec<_> = report.stops.iter().map(|stop| result(&stop.registers)).collect();
    assert_eq!(results, [1, 2, 3]);
    assert_eq!(report.instructions, Some(9), "of all calls together");
}

#[test]
fn calls_after_one_that_did_not_return_are_not_made() {
    let mut setup = setup(Architecture::X86_64, b"\x0f\x0b");
    setup.calls = vec![setup.calls[0].clone(); 3];
    assert_eq!(run(&setup).stops.len(), 1);
    setup.concurrent = true;
    let stops = run(&setup).stops;
    assert!(matches!(stops[0].reason, StopReason::Trapped(_)));
    assert_eq!([stops[1].reason, stops[2].reason], [StopReason::Abandoned; 2]);
}

#[test]
fn setups_that_make_no_sense_are_refused_and_the_machine_goes_on() {
    type Spoil = fn(&mut Setup);
    let spoiled: [(&str, Spoil); 8] = [
        ("no call", |it| it.calls.clear()),
        ("registers", |it| it.calls[0].registers = registers(Architecture::Arm64)),
        ("overlaps", |it| it.regions[1].address = CODE),
        ("is no page", |it| it.regions[0].address += 8),
        ("landing", |it| it.landing = CODE),
        ("more bytes", |it| it.regions[0].offset = 0x1000),
        ("bytes", |it| it.regions[0].size = u64::MAX),
        ("cannot be written", |it| it.regions[0].kept = true),
    ];
    let mut machine = machine();
    let good = setup(Architecture::X86_64, b"\xc3");
    for (words, spoil) in spoiled {
        let mut bad = good.clone();
        spoil(&mut bad);
        match machine.run(&bad) {
            Err(MachineError::Setup { why, .. }) => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        }
        assert_eq!(machine.run(&good).unwrap().stops[0].reason, StopReason::Landed);
    }
}

#[test]
fn memory_may_lie_elsewhere_in_each_run() {
    let mut machine = machine();
    for shift in [0, 0x10_0000, 0x7000_0000_0000, 0] {
        let mut setup = setup(Architecture::X86_64, b"\xc3");
        for region in &mut setup.regions {
            region.address += shift;
        }
        setup.regions[1].permissions = Permissions::Rw;
        let Registers::X86_64(it) = &mut setup.calls[0].registers else { panic!() };
        it.rip += shift;
        it.general[4] += shift;
        assert_eq!(machine.run(&setup).unwrap().stops[0].reason, StopReason::Landed, "{shift:#x}");
    }
}

#[test]
fn a_machine_whose_emulator_was_killed_says_so_and_starts_another() {
    let mut machine = machine();
    let good = setup(Architecture::X86_64, b"\xc3");
    let first = machine.process_id().unwrap();
    let killed = std::process::Command::new("kill").arg("-9").arg(first.to_string()).status();
    assert!(killed.unwrap().success());
    let error = machine.run(&good).unwrap_err();
    assert!(matches!(error, MachineError::Lost { machine: "emulated", .. }), "{error}");
    assert_eq!(machine.run(&good).unwrap().stops[0].reason, StopReason::Landed);
    assert_ne!(machine.process_id(), Some(first));
}

#[test]
fn many_runs_need_no_more_memory_than_few() {
    let mut machine = machine();
    let mut first = None;
    for round in 0..10 {
        for architecture in ALL {
            let setups: Vec<Setup> = (0..1000)
                .map(|n| setup(architecture, &constant(architecture, round * 1000 + n)))
                .collect();
            machine.run_batch(&setups).unwrap();
        }
        let resident = crate::cases::resident(machine.process_id().unwrap());
        let first = *first.get_or_insert(resident);
        assert!(resident <= first + (4 << 20), "{first} bytes became {resident} in round {round}");
    }
}
