//! The emulated machine: a client of the program `harness-emulator`.
//!
//! The emulator is a program of its own because it links Unicorn, which is licensed under the GPL; nothing is
//! shared with it but pipes and the words of [`wire`].
//!
//! Here every run starts from the same state, so a batch is no less trustworthy than runs one by one: nothing
//! needs to be run again.

mod process;
pub mod wire;

use std::collections::VecDeque;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::{Process, Silence};
use wire::Answer;

use crate::limits::{EMULATOR_GRACE, EMULATOR_WINDOW};
use crate::{Architecture, Machine, MachineError, Report, Setup};

/// Name of the program.
const PROGRAM: &str = "harness-emulator";

/// Environment variable that says where the program is; empty says that it is not to be used.
const VARIABLE: &str = "HARNESS_EMULATOR";

/// Name of this machine.
const NAME: &str = "emulated";

/// A machine that runs setups in the emulator.
///
/// It runs the calls of a [`Setup::concurrent`] setup one after the other, too: each sees the memory that those
/// before it left. A budget of instructions is exact.
pub struct Emulated {
    program: PathBuf,
    process: Option<Process>,
}

impl Emulated {
    /// Looks for the program: where the environment variable `HARNESS_EMULATOR` says (an empty value says that
    /// there is none), else beside the running program, else in the folders above it up to `target`.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        if let Some(path) = env::var_os(VARIABLE) {
            return if path.is_empty() { None } else { Some(path.into()) };
        }
        let running = env::current_exe().ok()?;
        beside(&running)
    }

    /// Starts the program at `path`.
    ///
    /// # Errors
    /// [`MachineError::Start`] when it does not start or is of another version.
    pub fn start(path: impl Into<PathBuf>) -> Result<Self, MachineError> {
        let program = path.into();
        let process = Some(launch(&program)?);
        Ok(Self { program, process })
    }

    /// The process id of the emulator, when one is running.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Sends all setups, at most [`EMULATOR_WINDOW`] ahead of the answers.
    fn exchange(&mut self, setups: &[Setup]) -> Result<Vec<Report>, MachineError> {
        let process = match self.process.take() {
            Some(process) => process,
            None => launch(&self.program)?,
        };
        let mut refused = None;
        let mut reports = Vec::with_capacity(setups.len());
        let mut waiting = VecDeque::with_capacity(EMULATOR_WINDOW);
        let mut unsent = setups.iter();
        loop {
            while waiting.len() < EMULATOR_WINDOW
                && refused.is_none()
                && let Some(setup) = unsent.next()
            {
                match wire::encode(setup) {
                    Ok(frame) => {
                        process.send(frame);
                        waiting.push_back(patience(setup));
                    }
                    Err(why) => refused = Some(why.to_string()),
                }
            }
            let Some(patience) = waiting.pop_front() else { break };
            match process.answer(patience) {
                Ok(Answer::Report(report)) => reports.push(report),
                Ok(Answer::Refused(why)) => refused = refused.or(Some(why)),
                Err(silence) => return Err(lost(silence)), // and with it the process
            }
        }
        self.process = Some(process);
        match refused {
            Some(why) => Err(MachineError::Setup { machine: NAME, why }),
            None => Ok(reports),
        }
    }
}

impl Machine for Emulated {
    fn run(&mut self, setup: &Setup) -> Result<Report, MachineError> {
        let reports = self.exchange(std::slice::from_ref(setup))?;
        reports.into_iter().next().ok_or_else(|| lost(Silence::Ended("no report".into())))
    }

    fn run_batch(&mut self, setups: &[Setup]) -> Result<Vec<Report>, MachineError> {
        self.exchange(setups)
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn runs(&self, _: Architecture) -> bool {
        true
    }
}

/// How long to wait for the answer to a setup that is next in line.
fn patience(setup: &Setup) -> Duration {
    setup.budget.wall.saturating_add(EMULATOR_GRACE)
}

fn launch(program: &Path) -> Result<Process, MachineError> {
    Process::start(program).map_err(|why| MachineError::Start { machine: NAME, why })
}

fn lost(silence: Silence) -> MachineError {
    let why = match silence {
        Silence::Ended(why) => why,
        Silence::Deadline(patience) => format!("it did not answer within {patience:?}"),
    };
    MachineError::Lost { machine: NAME, why }
}

/// The program in the folder of `running`, or in the nearest folder above it up to one called `target`; there
/// also in the folder of another profile, because cargo builds tests elsewhere than programs.
fn beside(running: &Path) -> Option<PathBuf> {
    let name = format!("{PROGRAM}{}", env::consts::EXE_SUFFIX);
    for folder in running.ancestors().skip(1).take(4) {
        for candidate in [folder.join(&name), folder.join("release").join(&name)] {
            if candidate.is_file() {
                return Some(candidate);
            }
        }
        if folder.ends_with("target") {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_beside_the_running_one_and_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::create_dir_all(target.join("debug/deps")).unwrap();
        std::fs::create_dir_all(target.join("release")).unwrap();
        let running = target.join("debug/deps/some-test");
        assert_eq!(beside(&running), None);
        let released = target.join("release").join(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX));
        std::fs::write(&released, "").unwrap();
        assert_eq!(beside(&running), Some(released));
        let near = target.join("debug").join(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX));
        std::fs::write(&near, "").unwrap();
        assert_eq!(beside(&running), Some(near));
    }

    #[test]
    fn a_program_that_is_not_the_emulator_is_no_machine() {
        for program in ["/bin/true", "/nonexistent/harness-emulator"] {
            let error = Emulated::start(program).err().unwrap();
            assert!(matches!(error, MachineError::Start { machine: "emulated", .. }), "{error}");
        }
    }
}
