//! What watches a run from the engine's hooks: it counts, notes where the code went, and decides when to stop.

use std::time::Instant;

use harness_protocol::trap::{Access, Cause};
use harness_sandbox::limits::MAX_TRACE;
use harness_sandbox::machine::Trap;
use harness_sandbox::{
    Architecture, Budget, Permissions, Registers, Resource, SystemCall, Tracing,
};
use unicorn_engine::{HookType, MemType, RegisterX86, Unicorn, uc_error};

use crate::clock;
use crate::inspect::x86::{decode, is_canonical, is_stack_access};
use crate::inspect::{self, Special, arm64};
use crate::limits::CLOCK_INTERVAL;
use crate::memory::{Beyond, Memory};
use crate::registers;
use crate::trap;

/// Why the code does not go on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// An instruction trapped, or would have.
    Trapped(Trap),
    /// There are no instructions at the address; perhaps only later in the block that was to be translated.
    NoCode(Trap),
    /// It asked the operating system for something.
    SystemCall {
        /// For what.
        call: SystemCall,
        /// Address of the next instruction.
        next: u64,
    },
    /// A budget was used up.
    Exhausted(Resource),
}

/// The state of a run outside of the processor.
pub(crate) struct Observer {
    /// Whose instructions run.
    pub(crate) architecture: Architecture,
    /// Whether bytes beyond a region's size are out of bounds.
    byte_bounds: bool,
    /// The memory.
    pub(crate) memory: Memory,
    notes: Notes,
    /// Instructions that were run, counting the one that is running.
    pub(crate) ran: u64,
    /// Address of the instruction that is running, or ran last.
    last: Option<u64>,
    after_branch: bool,
    limits: Limits,
    tracing: Tracing,
    /// What was noted along the way.
    pub(crate) trace: Vec<u64>,
    /// Why the code does not go on.
    pub(crate) event: Option<Event>,
    /// The registers at the event, where the engine goes on to the end of the instruction.
    pub(crate) registers: Option<Registers>,
    /// Where the instruction that raised an exception is: the engine's program counter may be after it.
    pub(crate) raised_at: Option<u64>,
}

/// When to stop.
struct Limits {
    instructions: u64,
    wall: Instant,
    cpu: std::time::Duration,
}

impl Observer {
    /// For an engine that nothing ran in yet.
    pub(crate) fn new(architecture: Architecture, byte_bounds: bool) -> Self {
        Self {
            architecture,
            byte_bounds,
            memory: Memory::default(),
            notes: Notes::default(),
            ran: 0,
            last: None,
            after_branch: true,
            limits: Limits {
                instructions: u64::MAX,
                wall: Instant::now(),
                cpu: std::time::Duration::MAX,
            },
            tracing: Tracing::None,
            trace: Vec::new(),
            event: None,
            registers: None,
            raised_at: None,
        }
    }

    /// Makes ready for the code that lies in memory now.
    pub(crate) fn begin(&mut self, budget: &Budget, tracing: Tracing) {
        self.notes.reset(&self.memory);
        self.ran = 0;
        self.tracing = tracing;
        self.trace = Vec::new();
        let now = Instant::now();
        self.limits = Limits {
            instructions: budget.instructions.unwrap_or(u64::MAX),
            wall: now.checked_add(budget.wall).unwrap_or(now + clock::FOREVER),
            cpu: clock::processor_time().saturating_add(budget.cpu),
        };
    }

    /// Makes ready for a call.
    pub(crate) fn begin_call(&mut self) {
        self.last = None;
        self.after_branch = true;
        self.event = None;
        self.registers = None;
        self.raised_at = None;
    }

    /// Takes back what the instruction at `pc`, which trapped, had done: it was not run.
    pub(crate) fn take_back(&mut self, pc: u64) {
        if self.last == Some(pc) {
            self.memory.take_back(self.ran);
            self.ran -= 1;
            self.last = None;
        }
    }

    fn exhausted(&self) -> Option<Resource> {
        if self.ran >= self.limits.instructions {
            return Some(Resource::Instructions);
        }
        if self.ran % CLOCK_INTERVAL != CLOCK_INTERVAL - 1 {
            return None;
        }
        if Instant::now() >= self.limits.wall {
            return Some(Resource::Wall);
        }
        (clock::processor_time() >= self.limits.cpu).then_some(Resource::Cpu)
    }

    fn note(&mut self, pc: u64, note: Note) {
        let noted = match self.tracing {
            Tracing::None => false,
            Tracing::Instructions => true,
            Tracing::Blocks => self.after_branch && self.notes.first_block(note),
        };
        if noted && self.trace.len() < MAX_TRACE {
            self.trace.push(pc);
        }
        self.after_branch = note.word & BRANCH != 0;
    }

    /// Where the instruction at `pc` leaves the bytes of its region, if it does.
    fn fetch_beyond(&self, pc: u64) -> Option<Trap> {
        let length = inspect::inspect(self.architecture, &self.memory, pc).length;
        match self.memory.beyond(pc, length, true)? {
            Beyond::Slack(address) => Some(trap::out_of_bounds(Access::Fetch, address)),
            Beyond::Nothing(_) => None,
        }
    }
}

/// Has `uc` tell its observer everything.
pub(crate) fn watch(uc: &mut Unicorn<'static, Observer>) -> Result<(), uc_error> {
    uc.add_code_hook(1, 0, |uc, pc, _| on_instruction(uc, pc))?;
    uc.add_intr_hook(on_exception)?;
    uc.add_mem_hook(HookType::MEM_INVALID, 1, 0, |uc, kind, address, _, _| {
        on_fault(uc, kind, address)
    })?;
    // Every access goes a slower way when the engine has to tell of it, so reads are told only where they matter.
    uc.add_mem_hook(HookType::MEM_WRITE, 1, 0, |uc, _, address, length, _| {
        on_write(uc, address, length as u64)
    })?;
    if uc.get_data().byte_bounds {
        uc.add_mem_hook(HookType::MEM_READ, 1, 0, |uc, _, address, length, _| {
            on_read(uc, address, length as u64)
        })?;
    }
    Ok(())
}

/// Ends the run; the first event counts.
fn stop(uc: &mut Unicorn<'_, Observer>, event: Event) {
    uc.get_data_mut().event.get_or_insert(event);
    // It fails only for an engine that does not run, and this is called from hooks.
    let _ = uc.emu_stop();
}

fn on_instruction(uc: &mut Unicorn<'_, Observer>, pc: u64) {
    let observer = uc.get_data_mut();
    if observer.event.is_some() {
        let _ = uc.emu_stop();
        return;
    }
    if let Some(resource) = observer.exhausted() {
        return stop(uc, Event::Exhausted(resource));
    }
    observer.ran += 1;
    observer.last = Some(pc);
    if observer.architecture == Architecture::Arm64 && !pc.is_multiple_of(arm64::LENGTH) {
        return stop(uc, Event::Trapped(trap::misaligned_arm(Access::Fetch, pc)));
    }
    let note = observer.notes.at(observer.architecture, &observer.memory, pc);
    if observer.byte_bounds
        && let Some(trap) = observer.fetch_beyond(pc)
    {
        return stop(uc, Event::Trapped(trap));
    }
    let special = note.special().map(|index| observer.notes.specials[index]);
    if let Some(special) = special
        && let Some(event) = inspect::check(special, uc)
    {
        stop(uc, event);
    }
    uc.get_data_mut().note(pc, note);
}

fn on_exception(uc: &mut Unicorn<'_, Observer>, number: u32) {
    let trap = match uc.get_data().architecture {
        Architecture::Arm64 => match number {
            1 => trap::undefined_arm(),
            4 => trap::misaligned_arm(Access::Read, uc.pc_read().unwrap_or_default()),
            7 => trap::breakpoint(),
            _ => trap::other(),
        },
        Architecture::X86_64 | Architecture::X86_32 => match number {
            0 => trap::divide(),
            1 => trap::single_step(),
            6 => trap::undefined_x86(),
            16 => {
                let word = |it: RegisterX86| uc.reg_read(it).unwrap_or_default() as u16;
                trap::x87(word(RegisterX86::FPSW), word(RegisterX86::FPCW))
            }
            4 | 5 | 10 | 11 | 12 | 13 => trap::other_protection(),
            _ => trap::other(),
        },
    };
    if trap.cause != Cause::SingleStep {
        let observer = uc.get_data_mut();
        observer.raised_at = observer.last;
    }
    stop(uc, Event::Trapped(trap));
}

/// An access that is not allowed. What is returned says that nothing was done about it.
fn on_fault(uc: &mut Unicorn<'_, Observer>, kind: MemType, address: u64) -> bool {
    let access = match kind {
        MemType::FETCH_UNMAPPED | MemType::FETCH_PROT => Access::Fetch,
        MemType::WRITE_UNMAPPED | MemType::WRITE_PROT => Access::Write,
        _ => Access::Read,
    };
    let is_protected =
        matches!(kind, MemType::FETCH_PROT | MemType::WRITE_PROT | MemType::READ_PROT);
    let architecture = uc.get_data().architecture;
    let trap = if is_protected {
        trap::protected(access, address)
    } else if architecture == Architecture::X86_64 && !is_canonical(address) {
        let observer = uc.get_data();
        let stack = observer
            .last
            .is_some_and(|pc| is_stack_access(&decode(64, &observer.memory, pc), address, uc));
        trap::non_canonical(access, address, stack)
    } else if architecture == Architecture::Arm64 {
        trap::nowhere_on_arm64(access, address)
    } else {
        trap::unmapped(access, address)
    };
    let event = if access == Access::Fetch { Event::NoCode(trap) } else { Event::Trapped(trap) };
    uc.get_data_mut().event.get_or_insert(event);
    false
}

fn on_write(uc: &mut Unicorn<'_, Observer>, address: u64, length: u64) -> bool {
    let observer = uc.get_data_mut();
    observer.memory.will_write(address, length, observer.ran);
    check_bounds(uc, address, length, Access::Write);
    true
}

fn on_read(uc: &mut Unicorn<'_, Observer>, address: u64, length: u64) -> bool {
    check_bounds(uc, address, length, Access::Read);
    true
}

/// Stops when the access leaves its region. The engine runs the instruction to its end all the same, so the
/// registers are kept as they are before it.
fn check_bounds(uc: &mut Unicorn<'_, Observer>, address: u64, length: u64, access: Access) {
    let observer = uc.get_data();
    if observer.event.is_some() {
        return;
    }
    let trap = match observer.memory.beyond(address, length, observer.byte_bounds) {
        Some(Beyond::Slack(first)) => trap::out_of_bounds(access, first),
        Some(Beyond::Nothing(first)) => trap::unmapped(access, first),
        None => return,
    };
    let registers = registers::read(uc, observer.architecture);
    uc.get_data_mut().registers = registers.ok();
    stop(uc, Event::Trapped(trap));
}

/// What is known of each instruction that ran, by address.
#[derive(Default)]
struct Notes {
    tables: Vec<Table>,
    specials: Vec<Special>,
}

/// The notes on one executable region.
struct Table {
    start: u64,
    /// One for each byte; 0 where no instruction ran.
    notes: Vec<u32>,
    /// Which are not 0.
    used: Vec<u32>,
}

/// A note, and where it stands.
#[derive(Clone, Copy)]
struct Note {
    word: u32,
    table: usize,
    offset: usize,
}

/// The instruction was looked at.
const SEEN: u32 = 1;
/// Control may go elsewhere after it.
const BRANCH: u32 = 2;
/// It was traced as the first of a block.
const FIRST: u32 = 4;
/// Above these bits: one more than the index of what must be done before it runs.
const SPECIAL_SHIFT: u32 = 3;

impl Note {
    fn special(self) -> Option<usize> {
        (self.word >> SPECIAL_SHIFT).checked_sub(1).map(|index| index as usize)
    }
}

impl Notes {
    /// Forgets all, and makes room for the executable regions of `memory`.
    fn reset(&mut self, memory: &Memory) {
        self.specials.clear();
        let code = memory.regions().iter().filter(|it| it.permissions == Permissions::Rx);
        let same = code.clone().count() == self.tables.len()
            && code.clone().zip(&self.tables).all(|(region, table)| {
                (region.start, region.pages().len()) == (table.start, table.notes.len())
            });
        if same {
            for table in &mut self.tables {
                for offset in table.used.drain(..) {
                    table.notes[offset as usize] = 0;
                }
            }
        } else {
            self.tables = code
                .map(|it| Table { start: it.start, notes: vec![0; it.pages().len()], used: vec![] })
                .collect();
        }
    }

    /// The note on the instruction at `pc`, made now if it is the first time.
    fn at(&mut self, architecture: Architecture, memory: &Memory, pc: u64) -> Note {
        let index = self.tables.partition_point(|table| table.start <= pc).saturating_sub(1);
        let Some(table) = self.tables.get_mut(index) else {
            return Note { word: 0, table: 0, offset: 0 };
        };
        let offset = pc.wrapping_sub(table.start) as usize;
        let Some(word) = table.notes.get_mut(offset) else {
            return Note { word: 0, table: 0, offset: 0 };
        };
        if *word == 0 {
            let inspected = inspect::inspect(architecture, memory, pc);
            *word = SEEN | if inspected.branch { BRANCH } else { 0 };
            if let Some(special) = inspected.special {
                self.specials.push(special);
                *word |= (self.specials.len() as u32) << SPECIAL_SHIFT;
            }
            table.used.push(offset as u32);
        }
        Note { word: *word, table: index, offset }
    }

    /// Whether the instruction of this note was never the first of a block before; now it is.
    fn first_block(&mut self, note: Note) -> bool {
        let Some(word) =
            self.tables.get_mut(note.table).and_then(|it| it.notes.get_mut(note.offset))
        else {
            return false;
        };
        let first = *word & FIRST == 0;
        *word |= FIRST;
        first
    }
}
