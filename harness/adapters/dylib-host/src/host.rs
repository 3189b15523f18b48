//! A shared library as a [`Loader`] of the protocol.

use std::ffi::CString;
use std::path::Path;

use harness_protocol::serve::Loader;
use harness_protocol::{Call, Case, Describe, Image, Reply, Stage, Want};

use crate::abi::{ForeignLoader, Module};
use crate::error::HostError;
use crate::report::{Breach, Report, addresses, stage};

/// The library and what it has mapped for the last case.
pub(crate) struct Host {
    library: ForeignLoader,
    description: Describe,
    module: Option<Module>,
}

impl Host {
    pub(crate) fn open(path: &Path) -> Result<Self, HostError> {
        let library = ForeignLoader::open(path)?;
        let description = library
            .describe()
            .map_err(|reason| HostError::Describe { library: path.into(), reason })?;
        Ok(Self { library, description, module: None })
    }

    /// Lets the library judge the file and, if so wished, calls the function.
    fn answer(&mut self, case: &Case) -> Result<Reply, Breach> {
        let raw = self.library.load(&case.bytes.0, case.want);
        let stage = stage(raw.stage)?;
        match (stage, &raw.module) {
            (Stage::Loaded, None) => return Err(Breach::NoModule),
            (Stage::Loaded, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Breach::UnexpectedModule(raw.stage)),
        }
        self.module = raw.module;
        let report = Report::try_from(&raw.report)?;
        if case.want == Want::Call && stage == Stage::Unsupported && report.rule.is_none() {
            let why =
                report.message.unwrap_or_else(|| "the library does not call this file".into());
            return Ok(Reply { skip: Some(why), ..Reply::default() });
        }
        let reply = Reply {
            stage: Some(stage),
            rule: report.rule,
            offset: report.offset,
            message: report.message,
            images: report.image.into_iter().collect(),
            ..Reply::default()
        };
        match (&case.call, &self.module) {
            (Some(call), Some(module)) if case.want == Want::Call => self.call(module, call, reply),
            _ => Ok(reply),
        }
    }

    /// Calls the function and adds to `reply` what came of it.
    fn call(&self, module: &Module, call: &Call, reply: Reply) -> Result<Reply, Breach> {
        let unresolvable = |message| Reply {
            stage: Some(Stage::Unresolvable),
            message: Some(message),
            ..Reply::default()
        };
        let Ok(name) = CString::new(call.function.as_str()) else {
            return Ok(unresolvable("a C string cannot name this function: it holds a NUL".into()));
        };
        let entry = self.library.entry(module, &name);
        if entry.is_null() {
            return Ok(unresolvable(format!("blob_entry knows no function `{}`", call.function)));
        }
        let image = reply.images.first().map_or(Ok(0..0), |image: &Image| addresses(image))?;
        if !image.contains(&entry.addr()) {
            return Err(Breach::Entry { entry: entry.addr(), start: image.start, end: image.end });
        }
        match self.library.call(module, entry, image, call) {
            Ok(outcome) => Ok(Reply {
                stage: Some(Stage::Returned),
                result: Some(outcome.returned),
                buffers: outcome.buffers,
                ..reply
            }),
            Err(error) => Ok(Reply { skip: Some(error.to_string()), ..Reply::default() }),
        }
    }
}

impl Loader for Host {
    fn describe(&self) -> Describe {
        self.description.clone()
    }

    fn judge(&mut self, case: &Case) -> Reply {
        if !self.description.formats.contains(&case.format) {
            let skip = format!("the library does not read format `{}`", case.format);
            return Reply { skip: Some(skip), ..Reply::default() };
        }
        if case.want == Want::Scenario {
            let skip = "the C interface has no scenarios".into();
            return Reply { skip: Some(skip), ..Reply::default() };
        }
        // Neither stage nor skip: the harness counts it as a protocol fault and shows the message.
        self.answer(case).unwrap_or_else(|breach| Reply {
            message: Some(breach.to_string()),
            ..Reply::default()
        })
    }

    fn release(&mut self) {
        if let Some(module) = self.module.take() {
            self.library.unload(module);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.release();
    }
}
