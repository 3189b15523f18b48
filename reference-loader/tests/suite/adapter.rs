//! The program, over real pipes.

use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use harness_protocol::{
    Argument, Call, Case, Describe, FromLoader, PROTOCOL_VERSION, Reply, Stage, ToLoader, TypeName,
    Want, frame,
};

use crate::encode::Scp;
use crate::files::{exporting, full, host};

struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Program {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reference-loader"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn send(&mut self, message: &ToLoader) {
        frame::write(self.input.as_mut().unwrap(), message).unwrap();
    }

    fn receive(&mut self) -> FromLoader {
        frame::read(&mut self.output).unwrap().unwrap()
    }

    fn hello(&mut self) -> Describe {
        self.send(&ToLoader::Hello { protocol: PROTOCOL_VERSION, harness: "test".into() });
        match self.receive() {
            FromLoader::Hello(describe) => describe,
            other => panic!("{other:?}"),
        }
    }

    fn reply(&mut self) -> Reply {
        match self.receive() {
            FromLoader::Result(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn judge(&mut self, case: Case) -> Reply {
        let seq = case.seq;
        self.send(&ToLoader::Case(case));
        let reply = self.reply();
        assert_eq!(reply.seq, seq);
        reply
    }

    fn end(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().unwrap()
    }
}

fn case(want: Want, bytes: Vec<u8>) -> Case {
    Case { seq: 17, format: "scp".into(), want, bytes: bytes.into(), ..Case::default() }
}

fn call(bytes: Vec<u8>, function: &str, args: Vec<Argument>, returns: TypeName) -> Case {
    let call = Some(Call { function: function.into(), args, returns });
    Case { call, ..case(Want::Call, bytes) }
}

#[test]
fn it_introduces_itself_and_leaves() {
    let mut program = Program::start();
    let describe = program.hello();
    assert_eq!((describe.protocol, &*describe.name), (PROTOCOL_VERSION, "reference-loader"));
    assert_eq!((&*describe.language, describe.formats), ("rust", vec!["scp".into(), "smf".into()]));
    assert_eq!(describe.architectures, ["x86_64", "arm64", "x86_32"]);
    assert_eq!(describe.wants, [Want::Validate, Want::Load, Want::Call, Want::Scenario]);
    assert!(describe.choices.is_empty() && describe.version == env!("CARGO_PKG_VERSION"));
    program.send(&ToLoader::Bye);
    assert!(program.end().success());
}

#[test]
fn the_end_of_input_is_no_error_but_stray_text_is() {
    assert!(Program::start().end().success());
    let mut program = Program::start();
    std::io::Write::write_all(program.input.as_mut().unwrap(), b"hello, loader").unwrap();
    assert_eq!(program.end().code(), Some(1));
}

#[test]
fn files_are_judged() {
    let mut program = Program::start();
    let accepted = program.judge(case(Want::Validate, full().encode()));
    assert_eq!((accepted.stage, accepted.rule, accepted.message), (Some(Stage::Valid), None, None));
    assert_eq!(accepted.model.unwrap()["functions"][0]["name"], "add");
    let mut bytes = full().encode();
    bytes[24] ^= 1;
    let refused = program.judge(case(Want::Load, bytes));
    assert_eq!((refused.stage, refused.offset), (Some(Stage::Invalid), Some(24)));
    assert_eq!(refused.rule.as_deref(), Some("SCP-HEADER-CHECKSUM"));
    assert!(refused.message.unwrap().ends_with("(at offset 0x18)") && refused.model.is_none());
    assert!(program.end().success());
}

#[test]
fn cases_may_be_sent_ahead() {
    let mut program = Program::start();
    for seq in 0..50 {
        program.send(&ToLoader::Case(Case { seq, ..case(Want::Validate, vec![0; 32]) }));
    }
    for seq in 0..50 {
        let reply = program.reply();
        assert_eq!((reply.seq, reply.rule.as_deref()), (seq, Some("SCP-HEADER-MAGIC")));
    }
}

#[test]
fn what_it_cannot_judge_it_skips() {
    let mut program = Program::start();
    let other = Case { format: "elf".into(), ..case(Want::Validate, vec![]) };
    for case in [other, case(Want::Call, Scp::default().encode())] {
        let reply = program.judge(case);
        assert!(reply.skip.is_some() && reply.stage.is_none(), "{reply:?}");
    }
}

#[test]
fn foreign_code_is_unsupported_once_it_is_to_be_loaded() {
    let mut program = Program::start();
    let bytes = Scp { architecture: (host() + 1) % 3, ..full() }.encode();
    assert_eq!(program.judge(case(Want::Validate, bytes.clone())).stage, Some(Stage::Valid));
    let reply = program.judge(case(Want::Load, bytes));
    assert_eq!((reply.stage, reply.rule), (Some(Stage::Unsupported), None));
}

#[test]
fn no_code_is_no_image() {
    let mut program = Program::start();
    let bytes = Scp { architecture: host(), ..Scp::default() }.encode();
    let reply = program.judge(case(Want::Load, bytes));
    assert_eq!((reply.stage, reply.images.len()), (Some(Stage::Loaded), 0));
}

/// The permissions of the page at `address` of the process `id`, if it has one there.
#[cfg(target_os = "linux")]
fn permissions(id: u32, address: u64) -> Option<String> {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let at = |text| u64::from_str_radix(text, 16).unwrap();
        (at(start)..at(end)).contains(&address).then(|| rest[..4].to_owned())
    })
}

#[cfg(target_os = "linux")]
#[test]
fn the_image_stays_until_the_next_frame() {
    let mut program = Program::start();
    let bytes = exporting(&[("f", &[0xc3], &[], 0)]).encode();
    let reply = program.judge(case(Want::Load, bytes.clone()));
    assert_eq!(reply.stage, Some(Stage::Loaded));
    let [image] = &*reply.images else { panic!("{:?}", reply.images) };
    assert_eq!((&*image.name, image.size), ("code", 16));
    assert_eq!(permissions(program.child.id(), image.base).as_deref(), Some("r-xp"));
    program.judge(case(Want::Validate, bytes));
    assert_ne!(permissions(program.child.id(), image.base).as_deref(), Some("r-xp"));
}

#[cfg(all(target_arch = "x86_64", unix))]
mod executing {
    use super::*;

    use harness_protocol::{HexBytes, Returned, value::Address};

    fn file() -> Vec<u8> {
        exporting(&[
            ("set", &[0xc6, 0x07, 0x2a, 0x48, 0x89, 0xf8, 0xc3], &[10], 10), // *p = 42; return p
            ("die", &[0x0f, 0x0b], &[], 0),                                  // ud2
        ])
        .encode()
    }

    #[test]
    fn functions_are_called() {
        let mut program = Program::start();
        let buffer = || Argument::Pointer { bytes: Some(vec![0, 1].into()) };
        let reply = program.judge(call(file(), "set", vec![buffer()], TypeName::Pointer));
        assert_eq!(reply.stage, Some(Stage::Returned));
        let into = Address::Buffer { index: 0, offset: 0 };
        assert_eq!(reply.result, Some(Returned::Pointer(into)));
        assert_eq!(reply.buffers, [HexBytes(vec![42, 1])]);
        assert!(reply.model.is_some() && reply.images.len() == 1);
    }

    #[test]
    fn calls_that_do_not_fit_are_not_made() {
        let mut program = Program::start();
        let absent = program.judge(call(file(), "get", vec![], TypeName::Void));
        assert_eq!(absent.stage, Some(Stage::Unresolvable));
        let no_argument = call(file(), "set", vec![], TypeName::Pointer);
        let other_result = call(file(), "die", vec![], TypeName::Int32);
        for case in [no_argument, other_result] {
            assert!(program.judge(case).skip.is_some());
        }
    }

    #[test]
    fn a_crash_is_not_hidden() {
        use std::os::unix::process::ExitStatusExt;
        let mut program = Program::start();
        program.send(&ToLoader::Case(call(file(), "die", vec![], TypeName::Void)));
        assert!(frame::read::<FromLoader>(&mut program.output).unwrap().is_none());
        assert_eq!(program.end().signal(), Some(4));
    }
}
