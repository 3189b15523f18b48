//! Native cases on AMD64: how they start and end, and what the kernel says about them.

use std::mem::offset_of;

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::super::shared::{FORK, SCRATCH, STUB};
use crate::limits::{ABOVE, ARENA_HIGH, ARENA_LOW, LANDING};
use crate::registers::X86_64;
use crate::{Architecture, Registers};

/// The architecture that runs natively here.
pub(in crate::native) const NATIVE: Architecture = Architecture::X86_64;
/// What seccomp calls it.
pub(in crate::native) const AUDIT: u32 = 0xc000_003e;
/// What seccomp calls the door of 32-bit programs.
pub(in crate::native) const AUDIT_32: u32 = 0x4000_0003;

/// What the stub loads before a call: the stub's only way to pass on is to pop all of it.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct Context {
    /// All general registers but `rsp`, by their numbers.
    general: [u64; 15],
    /// `rip cs rflags rsp ss`, for `iretq`.
    frame: [u64; 5],
    /// In the layout of `fxrstor`.
    fx: Fx,
    _rest: [u64; 44],
}

/// The registers of x87 and SSE, in the layout of `fxsave`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct Fx {
    fcw: u16,
    fsw: u16,
    ftw: u16,
    fop: u16,
    rip: u64,
    rdp: u64,
    mxcsr: u32,
    mxcsr_mask: u32,
    st: [u128; 8],
    xmm: [u128; 16],
    _rest: [u64; 12],
}

/// `si_code` of a signal that the kernel sends for reasons of its own; a breakpoint instruction is one.
const SI_KERNEL: i32 = 0x80;
/// Command of `arch_prctl`.
pub(in crate::native) const ARCH_SET_FS: u64 = 0x1002;
/// Selectors of 64-bit user code and data under Linux.
const CS: u64 = 0x33;
const SS: u64 = 0x2b;

const _: () = assert!(size_of::<Context>() == 1024 && size_of::<Fx>() == 512);
const _: () = assert!(offset_of!(Context, fx) == 160);
const _: () = assert!(LANDING == STUB + 0xf00);

/// All registers of a stopped thread, as the kernel gives them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct RawRegisters {
    user: libc::user_regs_struct,
    fx: Fx,
}

#[expect(unsafe_code, reason = "code that is copied, never called where it lies")]
mod code {
    use super::{
        ABOVE, ARENA_HIGH, ARENA_LOW, BATCH, BATCH_END, BATCH_LANDING, FAILED, GATE, LANDING,
        PAUSE, SCRATCH, SITES, STOPPED, STUB, WAIT, libc,
    };

    core::arch::global_asm!(
        r#"
    .pushsection .text.harness_sandbox_stub, "ax", @progbits
    .balign 16
    .globl harness_sandbox_stub
    .hidden harness_sandbox_stub
harness_sandbox_stub:
    # Leaves nothing mapped but the arena. r14: 0 for a call, with its context in r15; 1 for a batch, with its
    # first step in r15.
    movabs rdi, {high}
    movabs rsi, {above} - {high}
    mov eax, {munmap}
    syscall
11: test rax, rax
    jnz 30f
    xor edi, edi
    movabs rsi, {low}
    mov eax, {munmap}
    syscall
10: test rax, rax
    jnz 30f
    movabs rax, {scratch}
    mov dword ptr [rax], 1          # the other threads may go
    test r14d, r14d
    jz 20f
    jmp 60f

    .org harness_sandbox_stub + {wait}
    # A thread of several at once. r15: its context.
    movabs rax, {scratch}
    lock inc dword ptr [rax + 4]    # has arrived here
12: pause
    cmp dword ptr [rax], 0
    je 12b

20: mov rsp, r15
    fxrstor64 [rsp + 160]
    pop rax
    pop rcx
    pop rdx
    pop rbx
    pop rbp
    pop rsi
    pop rdi
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    iretq

    .org harness_sandbox_stub + {batch}
    # A batch. r15: the next step, four words: 0, to, from, how many bytes: copies; 1, a context, the end of what
    # is saved of the registers afterwards: calls; 2: ends.
60: mov rax, [r15]
    cmp eax, 1
    je 61f
    ja 62f
    mov rdi, [r15 + 8]
    mov rsi, [r15 + 16]
    mov rcx, [r15 + 24]
    rep movsb
    add r15, 32
    jmp 60b
61: movabs rax, {scratch}
    mov [rax + 16], r15
    mov r15, [r15 + 8]
    jmp 20b

    .org harness_sandbox_stub + {batch_landing}
    movabs [{scratch} + 24], rax
    movabs rax, {scratch}
    mov [rax + 32], rsp
    mov rsp, [rax + 16]
    mov rsp, [rsp + 16]
    pushfq
    push qword ptr [rax + 32]
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rdi
    push rsi
    push rbp
    push rbx
    push rdx
    push rcx
    push qword ptr [rax + 24]
    fxsave64 [rsp + 144]
    cld
    mov r15, [rax + 16]
    add r15, 32
    jmp 60b

    .org harness_sandbox_stub + {batch_end}
62: int3

    .org harness_sandbox_stub + {failed}
30: ud2

    .org harness_sandbox_stub + {gate}
    int3
    .org harness_sandbox_stub + {landing}
    int3
    .org harness_sandbox_stub + {first}
    .word 10b - harness_sandbox_stub
    .word 11b - harness_sandbox_stub
    .org harness_sandbox_stub + 4096

    # The page that forks. A function: rdi: the list; gives the child's number, or a negative error.
    mov r9, rdi
    mov edi, {child_signal}
    xor esi, esi
    xor edx, edx
    xor r10d, r10d
    xor r8d, r8d
    mov eax, {clone}
    syscall
    test rax, rax
    jz 51f
    ret
51: mov r15, r9
52: mov rax, [r15]                  # number and kind
    mov rbx, rax
    shr rbx, 32
    cmp ebx, 2
    ja 55f
    mov rdi, [r15 + 8]
    mov rsi, [r15 + 16]
    mov rdx, [r15 + 24]
    mov r10, [r15 + 32]
    mov r8, [r15 + 40]
    mov r9, [r15 + 48]
    mov eax, eax
    syscall
    cmp ebx, 1                      # may fail
    je 54f
    test rax, rax
    js 59f
    cmp ebx, 2                      # makes a thread
    jne 54f
    test rax, rax
    jnz 54f
    mov r15, [r15 + 56]
    jmp 52b
53: pause
    cmp [rax], ecx
    jne 53b
54: add r15, 64
    jmp 52b
55: cmp ebx, 4
    jb 56f
    je 57f
    mov rax, [r15 + 8]
    mov rcx, [r15 + 16]
    cmp ebx, 5
    je 53b
    mov r15, rax
    jmp 52b
56: mov r13, [r15 + 8]
    mov r14, [r15 + 16]
    mov r15, [r15 + 24]
    jmp r13
    .org harness_sandbox_stub + 4096 + {pause}
57: int3
    jmp 54b
    .org harness_sandbox_stub + 4096 + {stopped}
59: ud2
    .org harness_sandbox_stub + 8192
    .popsection
    "#,
        low = const ARENA_LOW,
        high = const ARENA_HIGH,
        above = const ABOVE,
        scratch = const SCRATCH,
        munmap = const libc::SYS_munmap,
        wait = const WAIT,
    batch = const BATCH,
    batch_landing = const BATCH_LANDING - STUB,
    batch_end = const BATCH_END,
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
/// Offset of the code that works through a batch.
const BATCH: u64 = 0x200;
/// Where the functions of a batch return to.
pub(in crate::native) const BATCH_LANDING: u64 = STUB + 0x300;
/// Offset of the instruction that ends a batch.
const BATCH_END: u64 = 0x400;
/// Offset of the instruction that says that the rest could not be unmapped.
const FAILED: u64 = 0xe00;
/// Where a case that is traced stops for the tracer to begin.
const GATE: u64 = STUB + 0xe80;
/// Offset of the two offsets that follow the two system calls.
pub(super) const SITES: u64 = 0xff0;

impl Context {
    /// The context that loads these registers; `None` for those of another processor.
    pub(in crate::native) fn of(registers: &Registers) -> Option<Self> {
        let Registers::X86_64(it) = registers else { return None };
        let [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15] =
            it.general;
        Some(Self {
            general: [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15],
            frame: [it.rip, CS, it.rflags, rsp, SS],
            fx: Fx::of(it),
            _rest: [0; 44],
        })
    }

    /// The same, but stopping before the first instruction.
    pub(in crate::native) fn gated(mut self) -> Self {
        self.frame[0] = GATE;
        self
    }

    /// The same for a thread that a tracer has stopped.
    fn load(&self, user: &mut libc::user_regs_struct) {
        let [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15] =
            self.general;
        let [rip, cs, eflags, rsp, ss] = self.frame;
        *user = libc::user_regs_struct {
            orig_rax: u64::MAX, // no system call is to be restarted
            rax,
            rcx,
            rdx,
            rbx,
            rbp,
            rsi,
            rdi,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rip,
            cs,
            eflags,
            rsp,
            ss,
            // What the call before did to its segments is over, and the kernel would refuse some of it.
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
            fs_base: 0,
            gs_base: 0,
        };
    }
}

impl Fx {
    fn of(it: &X86_64) -> Self {
        Self {
            fcw: it.fpu_control,
            fsw: 0,
            ftw: 0,
            fop: 0,
            rip: 0,
            rdp: 0,
            mxcsr: it.mxcsr,
            mxcsr_mask: 0,
            st: [0; 8],
            xmm: it.xmm,
            _rest: [0; 12],
        }
    }
}

impl RawRegisters {
    /// Those of a stopped thread.
    pub(in crate::native) fn of(thread: Pid) -> nix::Result<Self> {
        let user = ptrace::getregs(thread)?;
        let mut fx = std::mem::MaybeUninit::<Fx>::uninit();
        #[expect(unsafe_code, reason = "nix has no call for these registers")]
        // SAFETY: the kernel fills the 512 bytes that `fx` has, or fails.
        let status =
            unsafe { libc::ptrace(libc::PTRACE_GETFPREGS, thread.as_raw(), 0, fx.as_mut_ptr()) };
        nix::errno::Errno::result(status)?;
        #[expect(unsafe_code, reason = "nix has no call for these registers")]
        // SAFETY: filled, since the call did not fail.
        let fx = unsafe { fx.assume_init() };
        Ok(Self { user, fx })
    }

    /// Makes a stopped thread begin the call of `context`.
    pub(in crate::native) fn begin(thread: Pid, context: &Context) -> nix::Result<()> {
        let mut user = ptrace::getregs(thread)?;
        context.load(&mut user);
        ptrace::setregs(thread, user)?;
        #[expect(unsafe_code, reason = "nix has no call for these registers")]
        // SAFETY: the kernel reads the 512 bytes that `fx` has.
        let status = unsafe {
            libc::ptrace(libc::PTRACE_SETFPREGS, thread.as_raw(), 0, &raw const context.fx)
        };
        nix::errno::Errno::result(status).map(drop)
    }

    pub(in crate::native) fn pc(&self) -> u64 {
        self.user.rip
    }

    pub(in crate::native) fn sp(&self) -> u64 {
        self.user.rsp
    }

    /// With the stack pointer somewhere that is not the signal stack, so that the kernel's frame comes to lie
    /// at the top of that stack whatever the code did to its own stack pointer.
    ///
    /// No other register is set: the kernel refuses some contents of segment registers that code can load.
    pub(in crate::native) fn off_the_signal_stack(thread: Pid) -> nix::Result<()> {
        let offset = std::ptr::without_provenance_mut(offset_of!(libc::user_regs_struct, rsp));
        ptrace::write_user(thread, offset, 0)
    }

    /// Whether the instruction where functions return to stopped the thread, with this signal and code. A single
    /// step may end at the same address.
    pub(in crate::native) fn landed(&self, signal: i32, code: i32) -> bool {
        (signal, code, self.user.rip) == (libc::SIGTRAP, SI_KERNEL, LANDING + 1)
    }

    /// Where `fs` and `gs` start.
    pub(in crate::native) fn segment_bases(&self) -> [u64; 2] {
        [self.user.fs_base, self.user.gs_base]
    }

    /// Whether the thread stands where a case that is traced waits for the tracer.
    pub(in crate::native) fn at_the_gate(&self, signal: i32) -> bool {
        signal == libc::SIGTRAP && self.user.rip == GATE + 1
    }

    /// Whether the thread stands where the stub gives up.
    pub(in crate::native) fn failed(&self, signal: i32) -> bool {
        signal == libc::SIGILL && self.user.rip == STUB + FAILED
    }

    /// Whether the thread stands where it waits for the tracer while threads are still to be made.
    pub(in crate::native) fn at_the_break(&self, signal: i32) -> bool {
        signal == libc::SIGTRAP && self.user.rip == FORK + PAUSE + 1
    }

    /// Lets a thread that stands there go on behind the instruction: it already is.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "other processors have something to do"
    )]
    pub(in crate::native) fn pass_the_break(&self, _thread: Pid) -> nix::Result<()> {
        Ok(())
    }

    /// The line of the list whose system call failed, and its result. Code under test cannot stand there: the page
    /// is gone then.
    pub(in crate::native) fn stopped_at_line(&self, signal: i32) -> Option<(u64, u64)> {
        (signal == libc::SIGILL && self.user.rip == FORK + STOPPED)
            .then_some((self.user.r15, self.user.rax))
    }

    /// Whether the thread stands at the end of a batch.
    pub(in crate::native) fn ended_batch(&self, signal: i32) -> bool {
        signal == libc::SIGTRAP && self.user.rip == STUB + BATCH_END + 1
    }

    /// The registers in the machine's terms.
    pub(in crate::native) fn registers(&self, back: u64) -> Registers {
        let it = &self.user;
        Registers::X86_64(Box::new(X86_64 {
            general: [
                it.rax, it.rcx, it.rdx, it.rbx, it.rsp, it.rbp, it.rsi, it.rdi, it.r8, it.r9,
                it.r10, it.r11, it.r12, it.r13, it.r14, it.r15,
            ],
            rip: it.rip.wrapping_sub(back),
            rflags: it.eflags,
            xmm: self.fx.xmm,
            mxcsr: self.fx.mxcsr,
            fpu_control: self.fx.fcw,
        }))
    }

    /// The arguments of the system call that the thread wants.
    pub(in crate::native) fn arguments(&self, audit: u32) -> [u64; 6] {
        let it = &self.user;
        if audit == AUDIT {
            [it.rdi, it.rsi, it.rdx, it.r10, it.r8, it.r9]
        } else {
            [it.rbx, it.rcx, it.rdx, it.rsi, it.rdi, it.rbp].map(|value| value & 0xffff_ffff)
        }
    }
}

/// How long a breakpoint instruction was, by the bytes before the program counter; 0 if it was none.
pub(in crate::native) fn breakpoint(code: i32, before: [u8; 2]) -> u64 {
    const SI_KERNEL: i32 = 0x80;
    match before {
        _ if code != SI_KERNEL => 0,
        [_, 0xcc] => 1,
        [0xcd, 3] => 2,
        _ => 0,
    }
}

/// Offsets in the `ucontext` that the kernel hands to signal handlers of the words `trapno`, `err`, `cr2`.
pub(in crate::native) fn frame_words() -> [usize; 3] {
    let general = offset_of!(libc::ucontext_t, uc_mcontext) + offset_of!(libc::mcontext_t, gregs);
    [libc::REG_TRAPNO, libc::REG_ERR, libc::REG_CR2]
        .map(|index| general + 8 * usize::try_from(index).unwrap_or(0))
}

/// Where a handler that is about to start finds its `ucontext`.
pub(in crate::native) fn handler_context(thread: Pid) -> nix::Result<u64> {
    Ok(ptrace::getregs(thread)?.rdx)
}

/// Bytes of a [`Saved`] from its start to where the stub begins to push.
pub(in crate::native) const SAVED_TOP: u64 = offset_of!(Saved, _gap) as u64;

/// What the stub saves of the registers after a call of a batch.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct Saved {
    /// All general registers but `rsp`, by their numbers.
    general: [u64; 15],
    rsp: u64,
    rflags: u64,
    _gap: u64,
    fx: Fx,
}

const _: () = assert!(offset_of!(Saved, _gap) == 136 && offset_of!(Saved, fx) == 144);

impl Saved {
    /// The registers in the machine's terms.
    pub(in crate::native) fn registers(&self) -> Registers {
        let [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15] =
            self.general;
        Registers::X86_64(Box::new(X86_64 {
            general: [
                rax, rcx, rdx, rbx, self.rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15,
            ],
            rip: LANDING + 1, // as after the instruction there
            rflags: self.rflags,
            xmm: self.fx.xmm,
            mxcsr: self.fx.mxcsr,
            fpu_control: self.fx.fcw,
        }))
    }
}

/// Makes the function of these registers return to `landing`: where that is written, and the word.
pub(in crate::native) fn return_to(registers: &Registers, landing: u64) -> (u64, u64) {
    (registers.sp(), landing)
}

/// Where the stack pointer stands once the function of these registers has returned.
pub(in crate::native) fn returned_sp(registers: &Registers) -> u64 {
    registers.sp() + 8
}
