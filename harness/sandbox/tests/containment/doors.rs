//! Asking the operating system, by every door that a processor has.

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::{Outcome, SystemCall, SystemCallAbi};
use iced_x86::code_asm::*;
use nix::libc;
use rstest::rstest;

use super::sandbox::{BASE, DATA, PATH, SOCKET, Sandbox, assemble, assert_trapped, registers};

/// Loads number and arguments for `syscall`.
pub(crate) fn load(
    number: u64,
    arguments: [u64; 6],
) -> impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError> {
    move |a| {
        for (register, value) in [rdi, rsi, rdx, r10, r8, r9].into_iter().zip(arguments) {
            a.mov(register, value)?;
        }
        a.mov(rax, number)
    }
}

/// That `syscall` with this number and these arguments was refused and did nothing, not even to `rax`.
fn refused(sandbox: &mut Sandbox, number: i64, arguments: [u64; 6]) {
    let number = number.cast_unsigned();
    let code = assemble(|a| {
        load(number, arguments)(a)?;
        a.syscall()
    });
    let verdict = sandbox.run(&code);
    let call = SystemCall { abi: SystemCallAbi::X86_64, number, arguments };
    assert_eq!(verdict.outcome, Outcome::Forbidden(call));
    assert_eq!(verdict.pc.as_ref().unwrap().address, BASE + code.len() as u64);
    assert_eq!(registers(&verdict).general[0], number);
}

fn flags(flags: i32) -> u64 {
    u64::from(flags.cast_unsigned())
}

const HERE: u64 = -100_i64 as u64; // AT_FDCWD
const RWX: u64 = (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) as u64;

#[rstest]
#[case::open(libc::SYS_open, [PATH, flags(libc::O_RDWR | libc::O_TRUNC), 0, 0, 0, 0])]
#[case::openat(libc::SYS_openat, [HERE, PATH, flags(libc::O_RDWR | libc::O_TRUNC), 0, 0, 0])]
#[case::openat2(libc::SYS_openat2, [HERE, PATH, DATA, 24, 0, 0])]
#[case::creat(libc::SYS_creat, [PATH, 0o600, 0, 0, 0, 0])]
#[case::read_the_request(libc::SYS_read, [0, DATA, 64, 0, 0, 0])]
#[case::write_to_descriptor(libc::SYS_write, [1, DATA, 64, 0, 0, 0])]
#[case::unlink(libc::SYS_unlink, [PATH, 0, 0, 0, 0, 0])]
#[case::rename(libc::SYS_rename, [PATH, PATH + 1, 0, 0, 0, 0])]
#[case::mkdir(libc::SYS_mkdir, [PATH, 0o700, 0, 0, 0, 0])]
#[case::symlink(libc::SYS_symlink, [PATH, PATH + 1, 0, 0, 0, 0])]
#[case::chmod(libc::SYS_chmod, [PATH, 0, 0, 0, 0, 0])]
#[case::truncate(libc::SYS_truncate, [PATH, 0, 0, 0, 0, 0])]
#[case::memfd_create(libc::SYS_memfd_create, [PATH, 0, 0, 0, 0, 0])]
#[case::mount(libc::SYS_mount, [PATH, PATH, PATH, 0, 0, 0])]
#[case::umount2(libc::SYS_umount2, [PATH, 0, 0, 0, 0, 0])]
#[case::chroot(libc::SYS_chroot, [PATH, 0, 0, 0, 0, 0])]
#[case::pivot_root(libc::SYS_pivot_root, [PATH, PATH, 0, 0, 0, 0])]
fn files_cannot_be_named(#[case] number: i64, #[case] arguments: [u64; 6]) {
    refused(&mut Sandbox::start(), number, arguments);
}

#[rstest]
#[case::socket(libc::SYS_socket, [2, 1, 0, 0, 0, 0])]
#[case::connect(libc::SYS_connect, [3, SOCKET, 16, 0, 0, 0])]
#[case::sendto(libc::SYS_sendto, [3, DATA, 64, 0, SOCKET, 16])]
#[case::bind(libc::SYS_bind, [3, SOCKET, 16, 0, 0, 0])]
#[case::listen(libc::SYS_listen, [3, 8, 0, 0, 0, 0])]
#[case::socketpair(libc::SYS_socketpair, [1, 1, 0, DATA, 0, 0])]
#[case::sendmsg(libc::SYS_sendmsg, [3, DATA, 0, 0, 0, 0])]
#[case::netlink(libc::SYS_socket, [16, 3, 0, 0, 0, 0])]
fn the_network_cannot_be_reached(#[case] number: i64, #[case] arguments: [u64; 6]) {
    refused(&mut Sandbox::start(), number, arguments);
}

/// This process, which a case could only know by guessing.
fn me() -> u64 {
    std::process::id().into()
}

#[rstest]
#[case::fork(libc::SYS_fork, |_: &Sandbox| [0; 6])]
#[case::vfork(libc::SYS_vfork, |_: &Sandbox| [0; 6])]
#[case::clone(libc::SYS_clone, |_: &Sandbox| [flags(libc::SIGCHLD), 0, 0, 0, 0, 0])]
#[case::clone_a_thread(libc::SYS_clone, |_: &Sandbox| [flags(libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD), DATA, 0, 0, 0, 0])]
#[case::clone_untraced(libc::SYS_clone, |_: &Sandbox| [flags(libc::CLONE_UNTRACED), 0, 0, 0, 0, 0])]
#[case::clone3(libc::SYS_clone3, |_: &Sandbox| [DATA, 88, 0, 0, 0, 0])]
#[case::execve(libc::SYS_execve, |_: &Sandbox| [PATH, DATA, DATA, 0, 0, 0])]
#[case::execveat(libc::SYS_execveat, |_: &Sandbox| [HERE, PATH, DATA, DATA, 0, 0])]
#[case::daemonise(libc::SYS_setsid, |_: &Sandbox| [0; 6])]
#[case::leave_the_group(libc::SYS_setpgid, |_: &Sandbox| [0; 6])]
#[case::outlive_the_parent(libc::SYS_prctl, |_: &Sandbox| [flags(libc::PR_SET_PDEATHSIG), 0, 0, 0, 0, 0])]
#[case::ptrace_the_parent(libc::SYS_ptrace, |s: &Sandbox| [flags(16), s.zygote().into(), 0, 0, 0, 0])]
#[case::ptrace_the_client(libc::SYS_ptrace, |_: &Sandbox| [flags(16), me(), 0, 0, 0, 0])]
#[case::kill_the_client(libc::SYS_kill, |_: &Sandbox| [me(), 9, 0, 0, 0, 0])]
#[case::kill_the_parent(libc::SYS_kill, |s: &Sandbox| [s.zygote().into(), 9, 0, 0, 0, 0])]
#[case::kill_all(libc::SYS_kill, |_: &Sandbox| [u64::MAX, 9, 0, 0, 0, 0])]
#[case::tgkill(libc::SYS_tgkill, |_: &Sandbox| [me(), me(), 9, 0, 0, 0])]
#[case::write_to_the_client(libc::SYS_process_vm_writev, |s: &Sandbox| [me(), DATA, 1, s.memory(), 1, 0])]
#[case::read_the_client(libc::SYS_process_vm_readv, |s: &Sandbox| [me(), DATA, 1, s.memory(), 1, 0])]
#[case::pidfd_open(libc::SYS_pidfd_open, |_: &Sandbox| [me(), 0, 0, 0, 0, 0])]
#[case::pidfd_getfd(libc::SYS_pidfd_getfd, |_: &Sandbox| [3, 0, 0, 0, 0, 0])]
#[case::unshare(libc::SYS_unshare, |_: &Sandbox| [flags(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0])]
#[case::setns(libc::SYS_setns, |_: &Sandbox| [3, 0, 0, 0, 0, 0])]
#[case::exit(libc::SYS_exit, |_: &Sandbox| [0; 6])]
#[case::exit_group(libc::SYS_exit_group, |_: &Sandbox| [0; 6])]
#[case::wait4(libc::SYS_wait4, |_: &Sandbox| [u64::MAX, DATA, 0, 0, 0, 0])]
#[case::more_processes(libc::SYS_prlimit64, |_: &Sandbox| [0, 6, DATA, 0, 0, 0])]
fn processes_stay_as_they_are(#[case] number: i64, #[case] arguments: fn(&Sandbox) -> [u64; 6]) {
    let mut sandbox = Sandbox::start();
    let arguments = arguments(&sandbox);
    refused(&mut sandbox, number, arguments);
}

#[rstest]
#[case::mprotect_to_rwx(libc::SYS_mprotect, [BASE, 4096, RWX, 0, 0, 0])]
#[case::mprotect_the_stack(libc::SYS_mprotect, [DATA, 4096, RWX, 0, 0, 0])]
#[case::pkey_mprotect(libc::SYS_pkey_mprotect, [DATA, 4096, RWX, 0, 0, 0])]
#[case::mmap_rwx(libc::SYS_mmap, [0, 4096, RWX, 0x22, u64::MAX, 0])]
#[case::mmap_over_code(libc::SYS_mmap, [BASE, 4096, RWX, 0x32, u64::MAX, 0])]
#[case::mmap_at_zero(libc::SYS_mmap, [0, 4096, RWX, 0x32, u64::MAX, 0])]
#[case::mremap(libc::SYS_mremap, [DATA, 4096, 8192, 1, 0, 0])]
#[case::munmap(libc::SYS_munmap, [DATA, 4096, 0, 0, 0, 0])]
#[case::munmap_all(libc::SYS_munmap, [0, 0x7fff_ffff_f000, 0, 0, 0, 0])]
#[case::brk(libc::SYS_brk, [0; 6])]
#[case::madvise(libc::SYS_madvise, [DATA, 4096, 4, 0, 0, 0])]
#[case::remap_file_pages(libc::SYS_remap_file_pages, [DATA, 4096, 0, 0, 0, 0])]
#[case::shmget(libc::SYS_shmget, [0, 4096, 0o1600, 0, 0, 0])]
#[case::userfaultfd(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0])]
#[case::bpf(libc::SYS_bpf, [0, DATA, 64, 0, 0, 0])]
#[case::io_uring_setup(libc::SYS_io_uring_setup, [8, DATA, 0, 0, 0, 0])]
#[case::io_uring_enter(libc::SYS_io_uring_enter, [3, 1, 0, 0, 0, 0])]
#[case::perf_event_open(libc::SYS_perf_event_open, [DATA, 0, u64::MAX, u64::MAX, 0, 0])]
#[case::another_filter(libc::SYS_seccomp, [1, 0, DATA, 0, 0, 0])]
#[case::init_module(libc::SYS_init_module, [DATA, 64, PATH, 0, 0, 0])]
#[case::kexec_load(libc::SYS_kexec_load, [0, 0, 0, 0, 0, 0])]
#[case::iopl(libc::SYS_iopl, [3, 0, 0, 0, 0, 0])]
#[case::ioperm(libc::SYS_ioperm, [0, 1024, 1, 0, 0, 0])]
#[case::modify_ldt(libc::SYS_modify_ldt, [1, DATA, 16, 0, 0, 0])]
#[case::arch_prctl(libc::SYS_arch_prctl, [0x1002, DATA, 0, 0, 0, 0])]
#[case::set_tid_address(libc::SYS_set_tid_address, [DATA, 0, 0, 0, 0, 0])]
#[case::set_robust_list(libc::SYS_set_robust_list, [DATA, 24, 0, 0, 0, 0])]
#[case::rseq(libc::SYS_rseq, [DATA, 32, 0, 0x5305_3053, 0, 0])]
fn memory_and_kernel_stay_as_they_are(#[case] number: i64, #[case] arguments: [u64; 6]) {
    refused(&mut Sandbox::start(), number, arguments);
}

#[rstest]
#[case::handle_faults(libc::SYS_rt_sigaction, [11, DATA, 0, 8, 0, 0])]
#[case::handle_the_filter(libc::SYS_rt_sigaction, [31, DATA, 0, 8, 0, 0])]
#[case::return_to_a_forged_frame(libc::SYS_rt_sigreturn, [0; 6])]
#[case::block_all(libc::SYS_rt_sigprocmask, [0, DATA, 0, 8, 0, 0])]
#[case::sigaltstack(libc::SYS_sigaltstack, [DATA, 0, 0, 0, 0, 0])]
#[case::wait_for_one(libc::SYS_rt_sigtimedwait, [DATA, 0, 0, 8, 0, 0])]
#[case::signalfd(libc::SYS_signalfd4, [u64::MAX, DATA, 8, 0, 0, 0])]
#[case::stop_the_timers(libc::SYS_setitimer, [2, DATA, 0, 0, 0, 0])]
#[case::sleep(libc::SYS_nanosleep, [DATA, 0, 0, 0, 0, 0])]
#[case::pause(libc::SYS_pause, [0; 6])]
#[case::close_all(libc::SYS_close_range, [0, u32::MAX as u64, 0, 0, 0, 0])]
#[case::close(libc::SYS_close, [0; 6])]
#[case::dup2(libc::SYS_dup2, [0, 1, 0, 0, 0, 0])]
#[case::futex(libc::SYS_futex, [DATA, 1, 1, 0, 0, 0])]
#[case::more_time(libc::SYS_setrlimit, [0, DATA, 0, 0, 0, 0])]
#[case::harmless(libc::SYS_getpid, [1, 2, 3, 4, 5, 6])]
#[case::no_number(0xffff_ffff, [1, 2, 3, 4, 5, u64::MAX])]
#[case::number_of_x32(0x4000_0027, [1, 2, 3, 4, 5, 6])]
#[case::own_number_of_x32(0x4000_0200, [1, 2, 3, 4, 5, 6])]
fn signals_time_and_descriptors_stay(#[case] number: i64, #[case] arguments: [u64; 6]) {
    refused(&mut Sandbox::start(), number, arguments);
}

/// The kernel looks at `eax` only, and so does what is said.
#[test]
fn upper_half_of_the_number_does_not_count() {
    let number = 0xdead_beef_0000_0000 | libc::SYS_getpid.cast_unsigned();
    let verdict = Sandbox::start().assembled(|a| {
        load(number, [7; 6])(a)?;
        a.syscall()
    });
    let call = SystemCall {
        abi: SystemCallAbi::X86_64,
        number: libc::SYS_getpid.cast_unsigned(),
        arguments: [7; 6],
    };
    assert_eq!(verdict.outcome, Outcome::Forbidden(call));
}

/// Numbers that mean something harmless by one door and something else by the other.
#[rstest]
#[case::getpid_or_mkdir(39)]
#[case::writev_or_getpid(20)]
#[case::close_or_open(5)]
#[case::execve_or_munmap(11)]
#[case::poll_or_waitpid(7)]
#[case::exit_or_rt_sigreturn(15)]
#[case::restart(0)]
#[case::no_number(0xffff_ffff)]
#[case::number_of_x32(0x4000_0027)]
fn numbers_of_32_bit_programs_are_told_apart(#[case] number: u64) {
    let high = 0x1111_1111_0000_0000;
    let code = assemble(|a| {
        for (register, value) in [rbx, rcx, rdx, rsi, rdi, rbp].into_iter().zip(1..) {
            a.mov(register, high + value)?;
        }
        a.mov(rax, number)?;
        a.int(0x80)
    });
    let verdict = Sandbox::start().run(&code);
    let call = SystemCall { abi: SystemCallAbi::I386, number, arguments: [1, 2, 3, 4, 5, 6] };
    assert_eq!(verdict.outcome, Outcome::Forbidden(call));
    assert_eq!(verdict.registers.pc(), BASE + code.len() as u64);
    assert_eq!(registers(&verdict).general[3], high + 1);
}

/// The page that is mapped into every process at a fixed address.
#[rstest]
#[case::gettimeofday(0xffff_ffff_ff60_0000, libc::SYS_gettimeofday)]
#[case::time(0xffff_ffff_ff60_0400, libc::SYS_time)]
#[case::getcpu(0xffff_ffff_ff60_0800, libc::SYS_getcpu)]
fn the_vsyscall_page_is_no_door(#[case] address: u64, #[case] number: i64) {
    let code = assemble(|a| {
        load(0, [0; 6])(a)?;
        a.mov(rax, address)?;
        a.call(rax)?;
        a.ud2()
    });
    let after = BASE + code.len() as u64 - 2;
    let verdict = Sandbox::start().run(&code);
    if std::fs::read_to_string("/proc/self/maps").unwrap().contains("[vsyscall]") {
        let number = number.cast_unsigned();
        let call = SystemCall { abi: SystemCallAbi::X86_64, number, arguments: [0; 6] };
        assert_eq!(verdict.outcome, Outcome::Forbidden(call));
        assert_eq!(verdict.registers.pc(), after, "the kernel returns for it");
    } else {
        let expected = (Cause::Unmapped, Some(Access::Fetch), Some(address));
        assert_trapped(&verdict, address, expected);
    }
}

/// Where the zygote has its code that enters the kernel, a case has nothing.
#[test]
fn the_code_of_the_zygote_is_gone() {
    let mut sandbox = Sandbox::start();
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", sandbox.zygote())).unwrap();
    let mut tried = Vec::new();
    for line in maps.lines().filter(|line| line.contains("r-xp") && !line.contains("vsyscall")) {
        let start = u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap();
        let verdict = sandbox.assembled(|a| {
            a.mov(rax, start)?;
            a.jmp(rax)
        });
        assert_trapped(&verdict, start, (Cause::Unmapped, Some(Access::Fetch), Some(start)));
        tried.push(line.to_owned());
    }
    assert!(tried.iter().any(|line| line.ends_with("[vdso]")), "{tried:?}");
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    assert!(tried.iter().any(|line| line.ends_with(program)), "{tried:?}");
}

/// The largest number to try: beyond what any kernel knows.
const NUMBERS: u64 = 1024;

/// Not only the numbers that somebody thought of: all of them, by each door, are refused.
#[rstest]
#[case::of_this_processor(0, &[0x0f, 0x05], SystemCallAbi::X86_64)]
#[case::of_x32(0x4000_0000, &[0x0f, 0x05], SystemCallAbi::X86_64)]
#[case::of_32_bit_programs(0, &[0xcd, 0x80], SystemCallAbi::I386)]
fn all_numbers_are_refused(#[case] first: u64, #[case] door: &[u8], #[case] abi: SystemCallAbi) {
    let mut sandbox = Sandbox::start();
    let mut others = Vec::new();
    for number in first..first + NUMBERS {
        let mut code = assemble(|a| a.mov(rax, number));
        code.extend(door);
        code.push(0xc3);
        let outcome = sandbox.run_alone(&code).outcome;
        match outcome {
            Outcome::Forbidden(call) if (call.abi, call.number) == (abi, number) => {}
            other => others.push((number - first, other)),
        }
    }
    sandbox.assert_untouched();
    assert!(others.is_empty(), "not refused: {others:#?}");
}
