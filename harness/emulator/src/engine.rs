//! One engine of Unicorn, used for one setup after the other. Making one takes longer than running dozens of
//! short cases, so it is put back into its first state instead.

mod check;
mod user;

use std::ffi::c_void;

use harness_sandbox::limits::STACK_WINDOW;
use harness_sandbox::{
    Architecture, MachineCall, Permissions, Registers, Report, Setup, Stop, StopReason,
    SystemCallAbi,
};
use unicorn_engine::{Arch, Context, Mode, Prot, TlbType, Unicorn, uc_error};

use crate::clock;
use crate::inspect;
use crate::limits::{MAX_STALLS, RUNS_PER_FLUSH};
use crate::memory::Memory;
use crate::observer::{self, Event, Observer};
use crate::registers;
use crate::trap;

/// An engine for one architecture.
pub(crate) struct Engine {
    uc: Unicorn<'static, Observer>,
    architecture: Architecture,
    /// The processor before anything ran.
    pristine: Context,
    runs: u32,
}

/// Why a setup is not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It makes no sense.
    #[error("{0}")]
    Setup(String),
    /// The engine says no.
    #[error("the engine refuses {what}: {why}")]
    Engine {
        /// What was asked for.
        what: &'static str,
        /// Its words.
        why: uc_error,
    },
    /// There is no memory.
    #[error("no memory: {0}")]
    Memory(#[from] std::io::Error),
}

/// Names what the engine refused.
fn refuses(what: &'static str) -> impl Fn(uc_error) -> Refusal {
    move |why| Refusal::Engine { what, why }
}

impl Engine {
    /// An engine of `architecture`; it checks bounds by the byte or by the page.
    pub(crate) fn new(architecture: Architecture, byte_bounds: bool) -> Result<Self, Refusal> {
        let (arch, mode) = match architecture {
            Architecture::X86_64 => (Arch::X86, Mode::MODE_64),
            Architecture::X86_32 => (Arch::X86, Mode::MODE_32),
            Architecture::Arm64 => (Arch::ARM64, Mode::LITTLE_ENDIAN),
        };
        let observer = Observer::new(architecture, byte_bounds);
        let mut uc = Unicorn::new_with_data(arch, mode, observer).map_err(refuses("to start"))?;
        if architecture == Architecture::Arm64 {
            let most = unicorn_engine::Arm64CpuModel::MAX as i32;
            uc.ctl_set_cpu_model(most).map_err(refuses("the processor"))?;
        }
        // Addresses are what they are: no page tables, and none of the rules of an architecture without them.
        uc.ctl_set_tlb_type(TlbType::VIRTUAL).map_err(refuses("flat addresses"))?;
        user::enter(&mut uc, architecture).map_err(refuses("user mode"))?;
        observer::watch(&mut uc).map_err(refuses("to be watched"))?;
        let pristine = uc.context_init().map_err(refuses("to be saved"))?;
        Ok(Self { uc, architecture, pristine, runs: 0 })
    }

    /// Runs `setup`.
    pub(crate) fn run(&mut self, setup: &Setup) -> Result<Report, Refusal> {
        check::check(setup).map_err(Refusal::Setup)?;
        let started = clock::processor_time();
        self.prepare(setup)?;
        let stops = self.calls(setup)?;
        let observer = self.uc.get_data_mut();
        let regions = observer.memory.regions().iter().zip(&setup.regions);
        let memory = regions
            .filter(|(_, region)| region.kept)
            .map(|(mapped, _)| mapped.pages()[..mapped.size as usize].to_vec())
            .collect();
        Ok(Report {
            stops,
            memory,
            cpu: clock::processor_time().saturating_sub(started),
            instructions: Some(observer.ran),
            trace: std::mem::take(&mut observer.trace),
        })
    }

    /// Makes memory what the setup says.
    fn prepare(&mut self, setup: &Setup) -> Result<(), Refusal> {
        if !self.uc.get_data().memory.is_like(&setup.regions) {
            self.map(Memory::lay_out(&setup.regions)?)?;
        }
        self.runs += 1;
        if self.runs.is_multiple_of(RUNS_PER_FLUSH) {
            self.uc.ctl_flush_tb().map_err(refuses("to forget all code"))?;
        }
        let observer = self.uc.get_data_mut();
        observer.memory.reset(&setup.regions);
        observer.begin(&setup.budget, setup.tracing);
        for region in setup.regions.iter().filter(|it| it.permissions == Permissions::Rx) {
            let end = region.address + crate::memory::whole_pages(region.size);
            self.uc.ctl_remove_cache(region.address, end).map_err(refuses("to forget the code"))?;
        }
        Ok(())
    }

    /// Maps `memory` instead of what is mapped.
    #[expect(unsafe_code, reason = "the engine is lent memory of this program")]
    fn map(&mut self, memory: Memory) -> Result<(), Refusal> {
        self.unmap()?;
        // The old memory is dropped here, when the engine knows it no longer.
        self.uc.get_data_mut().memory = memory;
        let mut pieces = Vec::new();
        for region in self.uc.get_data_mut().memory.regions_mut() {
            let permissions = match region.permissions {
                Permissions::R => Prot::READ,
                Permissions::Rw => Prot::READ | Prot::WRITE,
                Permissions::Rx => Prot::READ | Prot::EXEC,
            };
            pieces.push((region.start, region.length(), permissions, region.pointer()));
        }
        for (start, length, permissions, pointer) in pieces {
            let pointer: *mut c_void = pointer.cast();
            // SAFETY: `pointer` is the start of a mapping of `length` bytes, readable and writable, that lives
            // in the observer until `unmap` was called for it; neither moves when the observer does. No
            // reference to its bytes exists while the engine runs code: hooks borrow them only until they return.
            unsafe { self.uc.mem_map_ptr(start, length, permissions, pointer) }
                .map_err(refuses("a region"))?;
        }
        Ok(())
    }

    fn unmap(&mut self) -> Result<(), Refusal> {
        for region in self.uc.mem_regions().map_err(refuses("to list regions"))? {
            let length = region.end - region.begin + 1;
            self.uc.mem_unmap(region.begin, length).map_err(refuses("to unmap"))?;
        }
        Ok(())
    }

    /// Makes the calls, one after the other, until one does not return.
    fn calls(&mut self, setup: &Setup) -> Result<Vec<Stop>, Refusal> {
        let mut stops: Vec<Stop> = Vec::with_capacity(setup.calls.len());
        for call in &setup.calls {
            if stops.last().is_none_or(|stop| stop.reason == StopReason::Landed) {
                stops.push(self.call(call, setup.landing)?);
            } else if setup.concurrent {
                let registers = call.registers.clone();
                stops.push(self.stop(StopReason::Abandoned, registers));
            }
        }
        Ok(stops)
    }

    fn call(&mut self, call: &MachineCall, landing: u64) -> Result<Stop, Refusal> {
        self.uc.context_restore(&self.pristine).map_err(refuses("to be restored"))?;
        registers::write(&mut self.uc, &call.registers).map_err(refuses("a register"))?;
        self.uc.get_data_mut().begin_call();
        let event = self.follow(call.registers.pc(), landing)?;
        let kept = self.uc.get_data_mut().registers.take();
        let mut registers = match kept {
            Some(registers) => registers,
            None => registers::read(&self.uc, self.architecture).map_err(refuses("a register"))?,
        };
        let reason = match event {
            None => StopReason::Landed,
            Some(Event::Trapped(trap) | Event::NoCode(trap)) => StopReason::Trapped(trap),
            Some(Event::Exhausted(resource)) => StopReason::Exhausted(resource),
            Some(Event::SystemCall { call, next }) => {
                after_system_call(&mut registers, call.abi, next);
                StopReason::SystemCall(call)
            }
        };
        let observer = self.uc.get_data_mut();
        if let Some(pc) = observer.raised_at {
            set_pc(&mut registers, pc);
        }
        match event {
            Some(Event::Trapped(_)) => observer.take_back(registers.pc()),
            Some(Event::SystemCall { .. }) => observer.ran -= 1, // nothing was done
            _ => {}
        }
        Ok(self.stop(reason, registers))
    }

    fn stop(&self, reason: StopReason, registers: Registers) -> Stop {
        let stack = self.uc.get_data().memory.bytes(registers.sp(), STACK_WINDOW).to_vec();
        Stop { reason, registers, stack }
    }

    /// Runs from `pc` until something happens; `None` is the landing.
    fn follow(&mut self, pc: u64, landing: u64) -> Result<Option<Event>, Refusal> {
        let (mut pc, mut until, mut stalls) = (pc, landing, 0);
        while pc != landing {
            let ran = self.uc.get_data().ran;
            let result = self.uc.emu_start(pc, until, 0, 0);
            until = landing;
            pc = self.uc.pc_read().map_err(refuses("the program counter"))?;
            let observer = self.uc.get_data_mut();
            match observer.event.take() {
                // Told when it was to be translated; what stands before it has not been run.
                Some(Event::NoCode(trap)) => match self.unreadable(pc) {
                    Some(first) if first != pc => until = first,
                    _ if pc == landing => break,
                    _ => return Ok(Some(Event::NoCode(trap))),
                },
                Some(event) => return Ok(Some(event)),
                None => match result {
                    Err(uc_error::INSN_INVALID) => {
                        return Ok(Some(Event::Trapped(trap::undefined_x86())));
                    }
                    Err(why) => return Err(Refusal::Engine { what: "to go on", why }),
                    Ok(()) => {}
                },
            }
            // `wfi` and its like end the emulation; here they do nothing.
            stalls = if self.uc.get_data().ran == ran { stalls + 1 } else { 0 };
            if stalls > MAX_STALLS {
                return Ok(Some(Event::Trapped(trap::other())));
            }
        }
        Ok(None)
    }

    /// The first instruction from `pc` on, straight ahead, of which not all bytes exist; `None` when there is not
    /// even the one at `pc`.
    fn unreadable(&self, pc: u64) -> Option<u64> {
        let memory = &self.uc.get_data().memory;
        let region = memory.at(pc).filter(|it| it.permissions == Permissions::Rx)?;
        let mut at = pc;
        while at < region.end() {
            match inspect::length(self.architecture, memory, at) {
                Some(length) => at += length,
                None => return Some(at),
            }
        }
        Some(at)
    }
}

/// The registers as Linux shows them to who watches: control is after the instruction, and `syscall` keeps the
/// address and the flags where the processor puts them.
fn after_system_call(registers: &mut Registers, abi: SystemCallAbi, next: u64) {
    set_pc(registers, next);
    if let (Registers::X86_64(it), SystemCallAbi::X86_64) = (registers, abi) {
        it.general[1] = next;
        it.general[11] = it.rflags;
    }
}

fn set_pc(registers: &mut Registers, pc: u64) {
    match registers {
        Registers::X86_64(it) => it.rip = pc,
        Registers::Arm64(it) => it.pc = pc,
        Registers::X86_32(it) => it.eip = pc as u32,
    }
}
