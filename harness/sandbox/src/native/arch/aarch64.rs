//! Native cases on ARM64: how they start and end, and what the kernel says about them.
//!
//! Written from the kernel's headers and the architecture manual; no ARM64 machine was at hand, so this file has
//! never been compiled. It has the same items as `x86_64.rs`.

use std::mem::offset_of;

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::super::shared::{FORK, SCRATCH, STUB};
use crate::limits::{ABOVE, ARENA_HIGH, ARENA_LOW, LANDING};
use crate::registers::Arm64;
use crate::{Architecture, Registers};

/// The architecture that runs natively here.
pub(in crate::native) const NATIVE: Architecture = Architecture::Arm64;
/// What seccomp calls it.
pub(in crate::native) const AUDIT: u32 = 0xc000_00b7;
/// What seccomp calls the door of 32-bit programs.
pub(in crate::native) const AUDIT_32: u32 = 0x4000_0028;

/// What the stub loads before a call. `x16` carries the entry point, as it does in calls through stubs of linkers.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct Context {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    fpcr: u64,
    nzcv: u64,
    _gap: u64,
    v: [u128; 32],
    _rest: [u64; 28],
}

const _: () = assert!(size_of::<Context>() == 1024 && offset_of!(Context, v) == 288);
const _: () = assert!(LANDING == STUB + 0xf00);

/// All registers of a stopped thread, as the kernel gives them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct RawRegisters {
    user: libc::user_regs_struct,
    float: Float,
}

/// `user_fpsimd_struct`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Float {
    v: [u128; 32],
    fpsr: u32,
    fpcr: u32,
    _rest: [u32; 2],
}

#[expect(unsafe_code, reason = "code that is copied, never called where it lies")]
mod code {
    use super::{
        ABOVE, ARENA_HIGH, ARENA_LOW, FAILED, GATE, LANDING, PAUSE, SCRATCH, SITES, STOPPED, STUB,
        WAIT, libc,
    };

    core::arch::global_asm!(
        r#"
    .pushsection .text.harness_sandbox_stub, "ax", @progbits
    .balign 16
    .globl harness_sandbox_stub
    .hidden harness_sandbox_stub
harness_sandbox_stub:
    // x28: the context. Leaves nothing mapped but the arena.
    ldr x0, 42f
    ldr x1, 43f
    mov x8, {munmap}
    svc 0
11: cbnz x0, 30f
    mov x0, xzr
    ldr x1, 41f
    mov x8, {munmap}
    svc 0
10: cbnz x0, 30f
    ldr x1, 44f
    mov w0, 1
    stlr w0, [x1]                   // the other threads may go
    b 20f
    .balign 8
41: .quad {low}
42: .quad {high}
43: .quad {above} - {high}
44: .quad {scratch}

    .org harness_sandbox_stub + {wait}
    // A thread of several at once. x28: its context.
    ldr x1, 45f
    add x2, x1, 4
13: ldaxr w0, [x2]                  // has arrived here
    add w0, w0, 1
    stlxr w3, w0, [x2]
    cbnz w3, 13b
12: yield
    ldar w0, [x1]
    cbz w0, 12b
    b 20f
    .balign 8
45: .quad {scratch}

20: ldr x0, [x28, 248]
    mov sp, x0
    ldr x0, [x28, 264]
    msr fpcr, x0
    ldr x0, [x28, 272]
    msr nzcv, x0
    add x0, x28, 288
    ld1 {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x0], 64
    ld1 {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x0], 64
    ld1 {{v8.2d, v9.2d, v10.2d, v11.2d}}, [x0], 64
    ld1 {{v12.2d, v13.2d, v14.2d, v15.2d}}, [x0], 64
    ld1 {{v16.2d, v17.2d, v18.2d, v19.2d}}, [x0], 64
    ld1 {{v20.2d, v21.2d, v22.2d, v23.2d}}, [x0], 64
    ld1 {{v24.2d, v25.2d, v26.2d, v27.2d}}, [x0], 64
    ld1 {{v28.2d, v29.2d, v30.2d, v31.2d}}, [x0], 64
    ldp x0, x1, [x28]
    ldp x2, x3, [x28, 16]
    ldp x4, x5, [x28, 32]
    ldp x6, x7, [x28, 48]
    ldp x8, x9, [x28, 64]
    ldp x10, x11, [x28, 80]
    ldp x12, x13, [x28, 96]
    ldp x14, x15, [x28, 112]
    ldr x17, [x28, 136]
    ldp x18, x19, [x28, 144]
    ldp x20, x21, [x28, 160]
    ldp x22, x23, [x28, 176]
    ldp x24, x25, [x28, 192]
    ldp x26, x27, [x28, 208]
    ldp x29, x30, [x28, 232]
    ldr x16, [x28, 256]
    ldr x28, [x28, 224]
    br x16

30: nop
    b harness_sandbox_stub + {failed}
    .org harness_sandbox_stub + {failed}
    udf 0

    .org harness_sandbox_stub + {gate}
    brk 0
    .org harness_sandbox_stub + {landing}
    brk 0
    .org harness_sandbox_stub + {first}
    .short 10b - harness_sandbox_stub
    .short 11b - harness_sandbox_stub
    .org harness_sandbox_stub + 4096

    // The page that forks. A function: x0: the list; gives the child's number, or a negative error.
    mov x9, x0
    mov x0, {child_signal}
    mov x1, xzr
    mov x2, xzr
    mov x3, xzr
    mov x4, xzr
    mov x8, {clone}
    svc 0
    cbz x0, 51f
    ret
51: mov x28, x9
    msr tpidr_el0, xzr
52: ldp w8, w27, [x28]              // number and kind
    cmp w27, 2
    b.hi 55f
    ldp x0, x1, [x28, 8]
    ldp x2, x3, [x28, 24]
    ldp x4, x5, [x28, 40]
    svc 0
    cmp w27, 1                      // may fail
    b.eq 54f
    tbnz x0, 63, 59f
    cmp w27, 2                      // makes a thread
    b.ne 54f
    cbnz x0, 54f
    ldr x28, [x28, 56]
    b 52b
53: yield
    ldar w2, [x0]
    cmp w2, w1
    b.ne 53b
54: add x28, x28, 64
    b 52b
55: ldp x0, x1, [x28, 8]
    cmp w27, 4
    b.lo 56f
    b.eq 57f
    cmp w27, 5
    b.eq 53b
    mov x28, x0
    b 52b
56: ldr x28, [x28, 24]
    br x0
57: b harness_sandbox_stub + 4096 + {pause}
59: b harness_sandbox_stub + 4096 + {stopped}
    .org harness_sandbox_stub + 4096 + {pause}
    brk 0
    b 54b
    .org harness_sandbox_stub + 4096 + {stopped}
    udf 0
    .org harness_sandbox_stub + 8192
    .popsection
    "#,
        low = const ARENA_LOW,
        high = const ARENA_HIGH,
        above = const ABOVE,
        scratch = const SCRATCH,
        munmap = const libc::SYS_munmap,
        wait = const WAIT,
        failed = const FAILED,
        gate = const GATE - STUB,
        landing = const LANDING - STUB,
        first = const SITES,
        child_signal = const libc::SIGCHLD,
        clone = const libc::SYS_clone,
        pause = const PAUSE,
        stopped = const STOPPED,
    );
}

/// Offset in the page that forks of the instruction that stops for the tracer.
const PAUSE: u64 = 0x200;
/// Offset in the page that forks of the instruction that says that a system call failed.
const STOPPED: u64 = 0x300;
/// Offset of the code where threads wait for each other.
pub(in crate::native) const WAIT: u64 = 0x100;
/// Offset of the instruction that says that the rest could not be unmapped.
const FAILED: u64 = 0xe00;
/// Where a case that is traced stops for the tracer to begin.
const GATE: u64 = STUB + 0xe80;
/// Offset of the two offsets that follow the two system calls.
pub(super) const SITES: u64 = 0xff0;

impl Context {
    /// The context that loads these registers; `None` for those of another processor.
    pub(in crate::native) fn of(registers: &Registers) -> Option<Self> {
        let Registers::Arm64(it) = registers else { return None };
        let Arm64 { x, sp, pc, nzcv, v, fpcr } = **it;
        Some(Self { x, sp, pc, fpcr, nzcv, _gap: 0, v, _rest: [0; 28] })
    }

    /// The same, but stopping before the first instruction.
    pub(in crate::native) fn gated(mut self) -> Self {
        self.pc = GATE;
        self
    }
}

impl RawRegisters {
    /// Those of a stopped thread.
    pub(in crate::native) fn of(thread: Pid) -> nix::Result<Self> {
        let user = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(thread)?;
        let mut float = Float { v: [0; 32], fpsr: 0, fpcr: 0, _rest: [0; 2] };
        float.transfer(thread, libc::PTRACE_GETREGSET)?;
        Ok(Self { user, float })
    }

    /// Makes a stopped thread begin the call of `context`.
    pub(in crate::native) fn begin(thread: Pid, context: &Context) -> nix::Result<()> {
        let user = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(thread)?;
        let user = libc::user_regs_struct {
            regs: context.x,
            sp: context.sp,
            pc: context.pc,
            pstate: user.pstate & !0xf000_0000 | context.nzcv,
        };
        ptrace::setregset::<ptrace::regset::NT_PRSTATUS>(thread, user)?;
        let fpcr = u32::try_from(context.fpcr).unwrap_or(0);
        let mut float = Float { v: context.v, fpsr: 0, fpcr, _rest: [0; 2] };
        float.transfer(thread, libc::PTRACE_SETREGSET)
    }

    pub(in crate::native) fn pc(&self) -> u64 {
        self.user.pc
    }

    pub(in crate::native) fn sp(&self) -> u64 {
        self.user.sp
    }

    /// With the stack pointer somewhere that is not the signal stack, so that the kernel's frame comes to lie
    /// at the top of that stack whatever the code did to its own stack pointer.
    pub(in crate::native) fn off_the_signal_stack(thread: Pid) -> nix::Result<()> {
        let user = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(thread)?;
        let user = libc::user_regs_struct { sp: 0, ..user };
        ptrace::setregset::<ptrace::regset::NT_PRSTATUS>(thread, user)
    }

    /// Whether the instruction where functions return to stopped the thread, with this signal and code.
    pub(in crate::native) fn landed(&self, signal: i32, code: i32) -> bool {
        (signal, code, self.user.pc) == (libc::SIGTRAP, libc::TRAP_BRKPT, LANDING)
    }

    /// Where segments start, which this processor does not have.
    pub(in crate::native) fn segment_bases(&self) -> [u64; 2] {
        [0; 2]
    }

    /// Whether the thread stands where a case that is traced waits for the tracer.
    pub(in crate::native) fn at_the_gate(&self, signal: i32) -> bool {
        signal == libc::SIGTRAP && self.user.pc == GATE
    }

    /// Whether the thread stands where the stub gives up.
    pub(in crate::native) fn failed(&self, signal: i32) -> bool {
        signal == libc::SIGILL && self.user.pc == STUB + FAILED
    }

    /// Whether the thread stands where it waits for the tracer while threads are still to be made.
    pub(in crate::native) fn at_the_break(&self, signal: i32) -> bool {
        signal == libc::SIGTRAP && self.user.pc == FORK + PAUSE
    }

    /// Lets a thread that stands there go on behind the instruction.
    pub(in crate::native) fn pass_the_break(&self, thread: Pid) -> nix::Result<()> {
        let user = libc::user_regs_struct { pc: self.user.pc + 4, ..self.user };
        ptrace::setregset::<ptrace::regset::NT_PRSTATUS>(thread, user)
    }

    /// The line of the list whose system call failed, and its result. Code under test cannot stand there: the page
    /// is gone then.
    pub(in crate::native) fn stopped_at_line(&self, signal: i32) -> Option<(u64, u64)> {
        let [result, ..] = self.user.regs;
        (signal == libc::SIGILL && self.user.pc == FORK + STOPPED)
            .then_some((self.user.regs[28], result))
    }

    /// The registers in the machine's terms.
    pub(in crate::native) fn registers(&self, back: u64) -> Registers {
        Registers::Arm64(Box::new(Arm64 {
            x: self.user.regs,
            sp: self.user.sp,
            pc: self.user.pc.wrapping_sub(back),
            nzcv: self.user.pstate & 0xf000_0000,
            v: self.float.v,
            fpcr: self.float.fpcr.into(),
        }))
    }

    /// The arguments of the system call that the thread wants.
    pub(in crate::native) fn arguments(&self, _audit: u32) -> [u64; 6] {
        let [a, b, c, d, e, f, ..] = self.user.regs;
        [a, b, c, d, e, f]
    }
}

impl Float {
    fn transfer(&mut self, thread: Pid, request: libc::c_uint) -> nix::Result<()> {
        let mut part =
            libc::iovec { iov_base: (&raw mut *self).cast(), iov_len: size_of::<Self>() };
        #[expect(unsafe_code, reason = "nix does not know the layout of these registers here")]
        // SAFETY: the kernel reads or writes at most the bytes that `part` describes: `self`.
        let status =
            unsafe { libc::ptrace(request, thread.as_raw(), libc::NT_PRFPREG, &raw mut part) };
        nix::errno::Errno::result(status).map(drop)
    }
}

/// How many bytes a breakpoint instruction lies before the program counter: none, it is not passed.
pub(in crate::native) fn breakpoint(_code: i32, _before: [u8; 2]) -> u64 {
    0
}

/// Offsets in the `ucontext` that the kernel hands to signal handlers: nothing for the exception's number; `ESR`,
/// in the record that follows that of the floating-point registers (528 bytes); the fault address.
pub(in crate::native) fn frame_words() -> [usize; 3] {
    let machine = offset_of!(libc::ucontext_t, uc_mcontext);
    let records = (machine + 8 * 35).next_multiple_of(16); // fault address, 31 registers, sp, pc, pstate
    [machine, records + 528 + 8, machine]
}

/// Where a handler that is about to start finds its `ucontext`.
pub(in crate::native) fn handler_context(thread: Pid) -> nix::Result<u64> {
    let user = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(thread)?;
    Ok(user.regs[2])
}
