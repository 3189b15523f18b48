//! What the processor itself offers to code without privileges: flags, segments, modes, instructions.

use std::arch::x86_64::__cpuid;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::{Breach, Calls, Outcome, Resource};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use rstest::rstest;

use super::sandbox::{BASE, DATA, Sandbox, assemble, assert_returned, assert_trapped, registers};

const TRAP: u64 = 1 << 8;
const DIRECTION: u64 = 1 << 10;
const PRIVILEGE: u64 = 3 << 12;
const NESTED: u64 = 1 << 14;
const ALIGNMENT: u64 = 1 << 18;
const IDENTIFICATION: u64 = 1 << 21;

/// Sets flags as far as the processor lets code do that.
fn set(a: &mut CodeAssembler, flags: u64) -> Result<(), IcedError> {
    a.pushfq()?;
    a.or(qword_ptr(rsp), flags as i32)?;
    a.popfq()
}

#[rstest]
#[case::direction(DIRECTION, &[Breach::DirectionFlag])]
#[case::nested(NESTED, &[])]
#[case::alignment(ALIGNMENT, &[])]
#[case::identification(IDENTIFICATION, &[])]
fn flags_stay_with_the_case(#[case] flags: u64, #[case] breaches: &[Breach]) {
    let verdict = Sandbox::start().assembled(|a| {
        set(a, flags)?;
        a.mov(eax, 9)?;
        a.ret()
    });
    assert_returned(&verdict, 9, breaches);
    assert_eq!(registers(&verdict).rflags & flags, flags);
}

#[test]
fn a_trap_flag_stops_after_one_instruction() {
    let code = assemble(|a| {
        set(a, TRAP)?;
        a.nop()
    });
    let verdict = Sandbox::start().run(&code);
    assert_trapped(&verdict, BASE + code.len() as u64, (Cause::SingleStep, None, None));
}

#[test]
fn with_the_alignment_flag_reads_must_be_aligned() {
    let mut at = 0;
    let code = assemble(|a| {
        set(a, ALIGNMENT)?;
        a.mov(rdi, DATA + 1)?;
        at = a.assemble(BASE)?.len() as u64;
        a.mov(eax, dword_ptr(rdi))
    });
    let verdict = Sandbox::start().run(&code);
    assert_trapped(&verdict, BASE + at, (Cause::Misaligned, Some(Access::Read), Some(DATA + 1)));
}

#[test]
fn faults_are_true_whatever_the_flags() {
    let mut sandbox = Sandbox::start();
    for flags in [DIRECTION, NESTED, ALIGNMENT, IDENTIFICATION, PRIVILEGE] {
        let mut at = 0;
        let code = assemble(|a| {
            set(a, flags)?;
            a.mov(rdi, 0x4444_0000_u64)?;
            at = a.assemble(BASE)?.len() as u64;
            a.mov(dword_ptr(rdi), eax)
        });
        let verdict = sandbox.run(&code);
        let expected = (Cause::Unmapped, Some(Access::Write), Some(0x4444_0000));
        assert_trapped(&verdict, BASE + at, expected);
    }
}

/// Instructions that belong to the operating system, with every privilege flag that can be had.
#[rstest]
#[case::cli(&[0xfa])]
#[case::sti(&[0xfb])]
#[case::hlt(&[0xf4])]
#[case::in_al_dx(&[0xec])]
#[case::out_dx_al(&[0xee])]
#[case::in_al_imm(&[0xe4, 0x80])]
#[case::insb(&[0x6c])]
#[case::outsb(&[0x6e])]
#[case::rdmsr(&[0x0f, 0x32])]
#[case::wrmsr(&[0x0f, 0x30])]
#[case::read_cr0(&[0x0f, 0x20, 0xc0])]
#[case::write_cr0(&[0x0f, 0x22, 0xc0])]
#[case::write_cr3(&[0x0f, 0x22, 0xd8])]
#[case::write_cr4(&[0x0f, 0x22, 0xe0])]
#[case::read_dr7(&[0x0f, 0x21, 0xf8])]
#[case::write_dr7(&[0x0f, 0x23, 0xf8])]
#[case::clts(&[0x0f, 0x06])]
#[case::lmsw(&[0x0f, 0x01, 0xf0])]
#[case::lgdt(&[0x0f, 0x01, 0x17])]
#[case::lidt(&[0x0f, 0x01, 0x1f])]
#[case::lldt(&[0x0f, 0x00, 0xd0])]
#[case::ltr(&[0x0f, 0x00, 0xd8])]
#[case::invd(&[0x0f, 0x08])]
#[case::wbinvd(&[0x0f, 0x09])]
#[case::invlpg(&[0x0f, 0x01, 0x3f])]
#[case::swapgs(&[0x0f, 0x01, 0xf8])]
#[case::sysretq(&[0x48, 0x0f, 0x07])]
#[case::xsetbv(&[0x0f, 0x01, 0xd1])]
#[case::int_0x00(&[0xcd, 0x00])]
#[case::int_0x0e(&[0xcd, 0x0e])]
#[case::int_0x81(&[0xcd, 0x81])]
#[case::int_0xff(&[0xcd, 0xff])]
fn privileged_instructions_are_told(#[case] instruction: &[u8]) {
    let mut code = assemble(|a| {
        set(a, PRIVILEGE)?;
        a.mov(rdi, DATA)?;
        a.mov(rsi, DATA)?;
        a.xor(ecx, ecx)?;
        a.xor(edx, edx)
    });
    let pc = BASE + code.len() as u64;
    code.extend(instruction);
    let verdict = Sandbox::start().run(&code);
    assert_trapped(&verdict, pc, (Cause::PrivilegedInstruction, None, None));
}

/// Instructions that are nobody's business: they work, in every case alike.
#[rstest]
#[case::cpuid(&[0x0f, 0xa2])]
#[case::rdtsc(&[0x0f, 0x31])]
#[case::xgetbv(&[0x31, 0xc9, 0x0f, 0x01, 0xd0])]
#[case::clflush(&[0x0f, 0xae, 0x3f])]
#[case::pause(&[0xf3, 0x90])]
#[case::load_ds(&[0xb8, 0x2b, 0, 0, 0, 0x8e, 0xd8])]
#[case::load_no_segments(&[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8])]
#[case::fninit(&[0xdb, 0xe3, 0x66, 0xc7, 0x07, 0x7f, 0x03, 0xd9, 0x2f])]
fn instructions_for_everybody_work(#[case] instruction: &[u8]) {
    let mut code = assemble(|a| {
        a.mov(r11, rbx)?; // `cpuid` writes it
        a.mov(rdi, DATA)
    });
    code.extend(instruction);
    code.extend(assemble(|a| {
        a.mov(rbx, r11)?;
        a.mov(eax, 3)?;
        a.ret()
    }));
    assert_returned(&Sandbox::start().run(&code), 3, &[]);
}

/// Selectors of other segments than one's own.
#[rstest]
#[case::kernel_code(0x10)]
#[case::kernel_data(0x18)]
#[case::local(0x07)]
#[case::beyond_the_table(0xfffb)]
fn segments_of_others_cannot_be_loaded(#[case] selector: u32) {
    let verdict = Sandbox::start().assembled(|a| {
        a.mov(eax, selector)?;
        a.mov(ds, eax)
    });
    let Outcome::Trapped { access, address, signal, .. } = verdict.outcome else {
        panic!("{verdict:?}")
    };
    assert_eq!((access, address, signal), (None, None, Some((11, 128))));
    assert_eq!(verdict.registers.pc(), BASE + 5);
}

/// The bases of `fs` and `gs` are a case's own: nothing lies there, and the next case finds none of it.
#[test]
fn bases_of_segments_stay_with_the_case() {
    let mut sandbox = Sandbox::start();
    let read_fs = |a: &mut CodeAssembler| a.mov(rax, qword_ptr(0).fs());
    let verdict = sandbox.assembled(read_fs);
    assert_trapped(&verdict, BASE, (Cause::Unmapped, Some(Access::Read), Some(0)));
    let read_gs = |a: &mut CodeAssembler| a.mov(rax, qword_ptr(0).gs());
    let verdict = sandbox.assembled(read_gs);
    assert_trapped(&verdict, BASE, (Cause::Unmapped, Some(Access::Read), Some(0)));
}

/// What `wrfsbase` may do; where the processor or the kernel knows no such instruction, it is undefined.
#[rstest]
#[case::fs(&[0xf3, 0x48, 0x0f, 0xae, 0xd7], 0x64)]
#[case::gs(&[0xf3, 0x48, 0x0f, 0xae, 0xdf], 0x65)]
fn addresses_through_segments_are_true(#[case] write_base: &[u8], #[case] prefix: u8) {
    let mut sandbox = Sandbox::start();
    let user = user_may_write_bases();
    for (base, cause) in [
        (0x7777_0000, Cause::Unmapped),
        (BASE, Cause::Protected),
        (0x7fff_ffff_ff00, Cause::NonCanonical),
    ] {
        let mut code = assemble(|a| a.mov(rdi, base));
        let at = BASE + code.len() as u64;
        code.extend(write_base);
        let pc = BASE + code.len() as u64;
        code.extend([prefix, 0x88, 0x04, 0x25, 0, 1, 0, 0]); // mov fs:[0x100], al
        let verdict = sandbox.run(&code);
        if user {
            assert_trapped(&verdict, pc, (cause, Some(Access::Write), Some(base + 0x100)));
        } else {
            assert_trapped(&verdict, at, (Cause::UndefinedInstruction, None, None));
        }
    }
}

/// `HWCAP2_FSGSBASE`.
fn user_may_write_bases() -> bool {
    #[expect(unsafe_code, reason = "libc's word for it")]
    // SAFETY: reads a number that the kernel passed to this process.
    let capabilities = unsafe { nix::libc::getauxval(nix::libc::AT_HWCAP2) };
    capabilities & 2 != 0
}

/// To 32-bit code, which would have to lie below 4 GiB, where nothing is.
#[rstest]
#[case::far_return(&[0x48, 0xcb])]
#[case::interrupt_return(&[0x48, 0xcf])]
#[case::far_jump(&[0xff, 0x2f])]
fn the_32_bit_mode_has_no_code(#[case] leave: &[u8]) {
    let target = 0x1234_5678_u64;
    let mut code = assemble(|a| {
        a.mov(rdi, DATA)?;
        a.mov(rax, 0x23 << 32 | target)?;
        a.mov(qword_ptr(rdi), rax)?;
        a.mov(r8, rsp)?;
        if leave[1] == 0xcf {
            a.push(0x2b)?;
            a.push(r8)?;
            a.pushfq()?;
        }
        a.push(0x23)?;
        a.push(i32::try_from(target).unwrap())
    });
    code.extend(leave);
    let verdict = Sandbox::start().run(&code);
    assert_trapped(&verdict, target, (Cause::Unmapped, Some(Access::Fetch), Some(target)));
}

/// Selectors that name nothing, or one's own data with other privileges, are loaded; and a trap after it is
/// told, the machine goes on, and the next call of the same case starts with its own.
#[test]
fn odd_selectors_and_bases_change_nothing() {
    let mut sandbox = Sandbox::start();
    for calls in [Calls::Once, Calls::Pure] {
        sandbox.calls = calls;
        for selector in [1, 3, 0x28, 0x2b] {
            for end in [&[0x88, 0x04, 0x25, 0x40, 0x30, 0x20, 0x00][..], &[0x31, 0xc0, 0xc3]] {
                let mut code = assemble(|a| {
                    a.mov(eax, selector)?;
                    a.mov(ds, eax)?;
                    a.mov(es, eax)?;
                    a.mov(fs, eax)?;
                    a.mov(gs, eax)
                });
                if user_may_write_bases() {
                    code.extend([0xf3, 0x48, 0x0f, 0xae, 0xd4]); // wrfsbase rsp: then to a kernel address
                    code.extend(assemble(|a| a.mov(rdx, u64::MAX << 40)));
                    code.extend([0xf3, 0x48, 0x0f, 0xae, 0xda]); // wrgsbase rdx
                    code.extend([0xf3, 0x48, 0x0f, 0xae, 0xd2]); // wrfsbase rdx
                }
                code.extend(end);
                let verdict = sandbox.run(&code);
                if end.len() == 3 {
                    assert_returned(&verdict, 0, &[]);
                } else {
                    let pc = BASE + (code.len() - end.len()) as u64;
                    let expected = (Cause::Unmapped, Some(Access::Write), Some(0x20_3040));
                    assert_trapped(&verdict, pc, expected);
                }
            }
        }
    }
}

/// Returns to where no return may go.
#[rstest]
#[case::kernel_code(0x10, 0x1000)]
#[case::no_code(0, 0x1000)]
#[case::data(0x2b, 0x1000)]
#[case::local(0x07, 0x1000)]
fn far_returns_cannot_choose_a_segment(#[case] selector: i32, #[case] target: i32) {
    for leave in [&[0x48, 0xcb], &[0x48, 0xcf]] {
        let mut code = assemble(|a| {
            a.mov(r8, rsp)?;
            a.push(0x2b)?;
            a.push(r8)?;
            a.push(0x202)?;
            a.push(selector)?;
            a.push(target)
        });
        if leave[1] == 0xcb {
            code = assemble(|a| {
                a.push(selector)?;
                a.push(target)
            });
        }
        let pc = BASE + code.len() as u64;
        code.extend(leave);
        let verdict = Sandbox::start().run(&code);
        let Outcome::Trapped { address: None, signal: Some((11, 128)), .. } = verdict.outcome
        else {
            panic!("{verdict:?}")
        };
        assert_eq!(verdict.registers.pc(), pc);
    }
}

/// The return that the stub itself makes, to a flag of one's choice: a step, and then the landing.
#[test]
fn interrupt_returns_stay_in_the_case() {
    let verdict = Sandbox::start().assembled(|a| {
        a.mov(r8, rsp)?;
        a.push(0x2b)?;
        a.push(r8)?;
        a.push(0x3202)?; // with the highest privilege that a flag can ask for
        a.push(0x33)?;
        a.mov(rax, BASE + 0x100)?;
        a.push(rax)?;
        a.iretq()
    });
    let address = BASE + 0x100; // in the page, behind the code: zeros, `add [rax], al`
    assert_trapped(&verdict, address, (Cause::Protected, Some(Access::Write), Some(address)));
    assert_eq!(registers(&verdict).rflags & PRIVILEGE, 0);
}

/// `sysenter`: AMD's processors do not know it in 64-bit code. Intel's do; the kernel then takes the argument
/// from a stack below 4 GiB, finds none, and returns to a page that the case does not have.
#[test]
fn sysenter_goes_nowhere() {
    let code = assemble(|a| {
        a.mov(eax, 20)?;
        a.mov(rsp, DATA + 0x800)?;
        a.sysenter()
    });
    let verdict = Sandbox::start().run(&code);
    let amd = __cpuid(0).ecx == u32::from_le_bytes(*b"cAMD");
    if amd {
        let pc = BASE + code.len() as u64 - 2;
        assert_trapped(&verdict, pc, (Cause::UndefinedInstruction, None, None));
    } else {
        assert!(matches!(verdict.outcome, Outcome::Trapped { .. }), "{verdict:?}");
    }
}

/// Keys of pages, where the processor has them: they take memory away from the case, and nothing else.
#[test]
fn keys_of_pages_take_only_from_the_case() {
    let code = assemble(|a| {
        a.xor(ecx, ecx)?;
        a.xor(edx, edx)?;
        a.mov(eax, 3)?;
        a.mov(rdi, DATA)?;
        a.wrpkru()?;
        a.mov(dword_ptr(rdi), eax)
    });
    let verdict = Sandbox::start().run(&code);
    let length = code.len() as u64;
    if keys() {
        let Outcome::Trapped { cause, address, .. } = &verdict.outcome else {
            panic!("{verdict:?}")
        };
        assert_eq!((*cause, address.as_ref().unwrap().address), (Cause::Protected, DATA));
        assert_eq!(verdict.registers.pc(), BASE + length - 2);
    } else {
        assert_trapped(&verdict, BASE + length - 5, (Cause::UndefinedInstruction, None, None));
    }
}

/// Whether the kernel has switched keys of pages on (`OSPKE`).
fn keys() -> bool {
    __cpuid(0).eax >= 7 && __cpuid(7).ecx & 1 << 4 != 0
}

/// Waiting is no way to outlast the clock.
#[rstest]
#[case::pause(&[0xf3, 0x90])]
#[case::rdtsc(&[0x0f, 0x31])]
#[case::rdrand(&[0x48, 0x0f, 0xc7, 0xf0])]
#[case::cpuid(&[0x0f, 0xa2])]
#[case::cmpxchg(&[0xf0, 0x0f, 0xb1, 0x0f])]
#[case::set_direction(&[0xfd])]
fn loops_end_with_their_time(#[case] body: &[u8]) {
    let mut code = assemble(|a| a.mov(rdi, DATA));
    let start = code.len();
    code.extend(body);
    let back = i8::try_from(-(body.len() as isize) - 2).unwrap();
    code.extend([0xeb, back.cast_unsigned()]);
    let mut sandbox = Sandbox::start();
    sandbox.budget.cpu = std::time::Duration::from_millis(20);
    let verdict = sandbox.run(&code);
    assert_eq!(verdict.outcome, Outcome::Exhausted(Resource::Cpu));
    let range = BASE + start as u64..BASE + code.len() as u64;
    assert!(range.contains(&verdict.registers.pc()), "{verdict:?}");
}
