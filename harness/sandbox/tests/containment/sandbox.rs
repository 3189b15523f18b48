//! How hostile code is run here, and who is asked afterwards whether anything happened.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use harness_protocol::trap::{Access, Cause};
use harness_protocol::{Argument, Returned, TypeName};
use harness_sandbox::native::Native;
use harness_sandbox::registers::X86_64;
use harness_sandbox::{
    Architecture, Breach, Budget, Calls, Convention, Job, Machine as _, Outcome, Permissions, Plan,
    Program, Registers, Segment, Verdict, job, verdict,
};
use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

/// Where the code lies.
pub(crate) const BASE: u64 = 0x3000_0000_0000;
/// Where the code has memory to write to.
pub(crate) const DATA: u64 = BASE + 0x1000_0000;
/// Bytes of that memory.
pub(crate) const DATA_SIZE: u64 = 0x4000;
/// Where that memory holds the path of the witness's file.
pub(crate) const PATH: u64 = DATA + 0x1000;
/// Where it holds the address of the witness's socket, as `connect` takes it.
pub(crate) const SOCKET: u64 = DATA + 0x2000;

/// Ample for code that does one thing, and soon over for code that does not end.
pub(crate) const BUDGET: Budget =
    Budget { cpu: Duration::from_millis(200), wall: Duration::from_secs(20), instructions: None };

/// A native machine and its witnesses.
pub(crate) struct Sandbox {
    pub(crate) native: Native,
    pub(crate) budget: Budget,
    pub(crate) calls: Calls,
    folder: tempfile::TempDir,
    listener: TcpListener,
    /// Memory of this process that nobody may write to.
    memory: Vec<u64>,
    processes: Vec<u32>,
}

/// What the witness's file holds.
const CANARY: &str = "still here\n";
/// What the witness's memory holds.
const WORD: u64 = 0x5afe_5afe_5afe_5afe;

impl Sandbox {
    pub(crate) fn start() -> Self {
        let native = Native::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("canary"), CANARY).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let processes = descendants(native.process().unwrap());
        assert_eq!(processes.len(), 1, "the zygote below the process that was started");
        let (budget, calls) = (BUDGET, Calls::Once);
        Self { native, budget, calls, folder, listener, memory: vec![WORD; 4096], processes }
    }

    /// Path of the file that must stay as it is.
    pub(crate) fn canary(&self) -> PathBuf {
        self.folder.path().join("canary")
    }

    /// Process id of the zygote itself.
    pub(crate) fn zygote(&self) -> u32 {
        self.processes[0]
    }

    /// Address of memory of this process.
    pub(crate) fn memory(&self) -> u64 {
        self.memory.as_ptr().addr() as u64
    }

    /// Runs code, then asks the witnesses.
    pub(crate) fn run(&mut self, code: &[u8]) -> Verdict {
        let verdict = self.run_alone(code);
        self.assert_untouched();
        verdict
    }

    /// Runs what is assembled, then asks the witnesses.
    pub(crate) fn assembled(
        &mut self,
        build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) -> Verdict {
        self.run(&assemble(build))
    }

    /// Runs code without asking anybody.
    pub(crate) fn run_alone(&mut self, code: &[u8]) -> Verdict {
        let program = self.program(code);
        let plan = self.plan(&program);
        let report = self.native.run(&plan.setup).unwrap();
        verdict::read(&program, &plan, report, "native")
    }

    pub(crate) fn plan(&self, program: &Program) -> Plan {
        let job = Job {
            entry: BASE,
            convention: Convention::SystemV,
            args: [2, 40].map(|value| Argument::Int32 { value }).to_vec(),
            returns: TypeName::Int32,
            calls: self.calls,
            budget: self.budget,
        };
        job::plan(program, job).unwrap()
    }

    pub(crate) fn program(&self, code: &[u8]) -> Program {
        let segment = |name: &str, address, bytes: Vec<u8>, size, permissions| Segment {
            name: name.into(),
            address,
            bytes,
            size,
            permissions,
        };
        let (size, data) = (code.len() as u64, self.data());
        let code = segment("code", BASE, code.to_vec(), size, Permissions::Rx);
        let data = segment("data", DATA, data, DATA_SIZE, Permissions::Rw);
        Program { architecture: Architecture::X86_64, segments: vec![code, data], symbols: vec![] }
    }

    /// Names of what must not be touched, for code that tries.
    fn data(&self) -> Vec<u8> {
        let mut data = vec![0; DATA_SIZE as usize];
        let path = self.canary();
        let path = path.to_str().unwrap().as_bytes();
        data[(PATH - DATA) as usize..][..path.len()].copy_from_slice(path);
        let port = self.listener.local_addr().unwrap().port();
        let family = u16::try_from(nix::libc::AF_INET).unwrap();
        let address = &mut data[(SOCKET - DATA) as usize..][..8];
        address[..2].copy_from_slice(&family.to_ne_bytes());
        address[2..4].copy_from_slice(&port.to_be_bytes());
        address[4..].copy_from_slice(&[127, 0, 0, 1]);
        data
    }

    /// That the world is as before, and the machine answers right.
    pub(crate) fn assert_untouched(&mut self) {
        let mut content = String::new();
        fs::File::open(self.canary()).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, CANARY, "the file changed");
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 1, "there are new files");
        let accepted = self.listener.accept();
        assert!(
            matches!(&accepted, Err(error) if error.kind() == ErrorKind::WouldBlock),
            "somebody connected: {accepted:?}"
        );
        assert!(self.memory.iter().all(|word| *word == WORD), "memory of this process changed");
        let processes = descendants(self.native.process().unwrap());
        assert_eq!(processes, self.processes, "not the one zygote without a child");
        self.assert_answers_right();
    }

    /// That a harmless function gives its sum, and has registers and memory that nobody spoilt.
    pub(crate) fn assert_answers_right(&mut self) {
        let (calls, budget) = (self.calls, self.budget);
        (self.calls, self.budget) = (Calls::Once, BUDGET);
        let sum = [0x8d, 0x04, 0x37, 0xc3]; // lea eax, [rdi + rsi]; ret
        let verdict = self.run_alone(&sum);
        (self.calls, self.budget) = (calls, budget);
        assert_eq!(verdict.outcome, returned(42), "the next case");
        assert_eq!(verdict.breaches, [], "the next case");
        assert_eq!(verdict.memory, [("data".to_owned(), DATA, self.data())], "the next case");
    }
}

/// The outcome of code that leaves this in `eax`.
pub(crate) fn returned(value: i32) -> Outcome {
    Outcome::Returned { value: Returned::Int32 { value }, buffers: vec![] }
}

/// That code returned, with this in `eax`, and broke nothing but perhaps what is said.
#[track_caller]
pub(crate) fn assert_returned(verdict: &Verdict, value: i32, breaches: &[Breach]) {
    assert_eq!(verdict.outcome, returned(value));
    assert_eq!(verdict.breaches, breaches);
}

/// That an instruction trapped at `pc`, for this reason, over this address.
#[track_caller]
pub(crate) fn assert_trapped(
    verdict: &Verdict,
    pc: u64,
    expected: (Cause, Option<Access>, Option<u64>),
) {
    let Outcome::Trapped { cause, access, address, .. } = &verdict.outcome else {
        panic!("not trapped: {verdict:#x?}")
    };
    let address = address.as_ref().map(|place| place.address);
    assert_eq!((*cause, *access, address), expected, "{verdict:#x?}");
    assert_eq!(verdict.registers.pc(), pc, "{verdict:#x?}");
    assert_eq!(verdict.pc.as_ref().unwrap().address, pc);
}

/// The registers of a verdict.
pub(crate) fn registers(verdict: &Verdict) -> &X86_64 {
    match &verdict.registers {
        Registers::X86_64(registers) => registers,
        other => panic!("registers of another processor: {other:?}"),
    }
}

/// The bytes of these instructions, at [`BASE`].
pub(crate) fn assemble(build: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Vec<u8> {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler).unwrap();
    assembler.assemble(BASE).unwrap()
}

/// All processes below this one, in order of their ids.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let parents = parents();
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        let below = parents.iter().filter(|(_, parent)| **parent == above);
        found.extend(below.map(|(process, _)| *process));
        next += 1;
    }
    found.remove(0);
    found.sort_unstable();
    found
}

/// The parent of each process.
fn parents() -> BTreeMap<u32, u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter_map(|process: u32| {
            // A process may be gone by now. Its name, in parentheses, may hold anything.
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect()
}
