//! The emulator: reads setups from standard input, runs them in Unicorn, writes reports to standard output. It is
//! started by the emulated machine of `harness-sandbox`, whose `emulated::wire` says how the two speak.
//!
//! Code under test can do nothing but compute: the engine has no devices, and system calls end the run.

mod clock;
mod engine;
mod inspect;
mod limits;
mod memory;
mod observer;
mod registers;
mod trap;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use harness_sandbox::emulated::wire::{self, Answer, Hello};
use harness_sandbox::limits::EMULATOR_BUFFER;
use harness_sandbox::{Architecture, Setup};

use engine::{Engine, Refusal};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The other side is gone, which is how it says that it needs nothing more.
        Err(why) if why.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!(
                "harness-emulator: {why}; it is started by harness and speaks to no one else"
            );
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // Not the standard library's own: its standard output looks for ends of lines.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut input = BufReader::with_capacity(EMULATOR_BUFFER, input);
    let mut output = BufWriter::with_capacity(EMULATOR_BUFFER, output);
    wire::write(&mut output, &Hello::OURS)?;
    output.flush()?;
    let hello: Option<Hello> = wire::read(&mut input)?;
    if hello != Some(Hello::OURS) {
        return Err(io::Error::new(ErrorKind::InvalidData, "no greeting of this version"));
    }
    let mut engines = Engines::default();
    while let Some(setup) = wire::read::<Setup>(&mut input)? {
        wire::write(&mut output, &engines.answer(&setup))?;
        if !more_waits(&input) {
            output.flush()?;
        }
    }
    output.flush()
}

/// Whether part of the next message is here already; else the answers so far must go out before it is waited for.
fn more_waits(input: &BufReader<File>) -> bool {
    !input.buffer().is_empty()
}

/// The engines that were needed so far.
#[derive(Default)]
struct Engines {
    by_kind: HashMap<(Architecture, bool), Engine>,
}

impl Engines {
    fn answer(&mut self, setup: &Setup) -> Answer {
        let kind = (setup.architecture, setup.byte_bounds);
        let ran = self.engine(kind).and_then(|engine| engine.run(setup));
        match ran {
            Ok(report) => Answer::Report(report),
            Err(why) => {
                // After a refusal in the middle its state is not known.
                self.by_kind.remove(&kind);
                Answer::Refused(why.to_string())
            }
        }
    }

    fn engine(&mut self, kind: (Architecture, bool)) -> Result<&mut Engine, Refusal> {
        use std::collections::hash_map::Entry;
        match self.by_kind.entry(kind) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(free) => Ok(free.insert(Engine::new(kind.0, kind.1)?)),
        }
    }
}
