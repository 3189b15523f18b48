//! Progress on stderr: a bar with rate and ETA on a terminal, lines elsewhere when asked for.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness_runner::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::{Global, ProgressWhen};

/// Shows how far a run is.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
    failures: AtomicUsize,
}

/// Percent between two lines of plain progress.
const PLAIN_STEP: usize = 10;

impl Progress {
    /// Progress for one implementation, as the options ask for it.
    pub(crate) fn new(global: &Global, name: &str) -> Self {
        let show = match global.progress {
            ProgressWhen::Auto => std::io::stderr().is_terminal() && !global.json,
            ProgressWhen::Plain | ProgressWhen::None => false,
        };
        let target = if show { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let template = "{prefix} [{bar:30}] {pos}/{len} {per_sec} eta {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        if show {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self { bar, plain: global.progress == ProgressWhen::Plain, failures: AtomicUsize::new(0) }
    }

    /// Takes note of what a run tells.
    pub(crate) fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { total } => self.start(total),
            Event::CaseDone { done, total, result } => {
                let failed = usize::from(result.outcome.is_failure());
                let failures = self.failures.fetch_add(failed, Ordering::Relaxed) + failed;
                self.done(done, total, failures);
            }
            _ => {}
        }
    }

    /// So many cases are to be done.
    pub(crate) fn start(&self, total: usize) {
        self.bar.set_length(total as u64);
    }

    /// So many are done, and so many of them failed.
    pub(crate) fn done(&self, done: usize, total: usize, failures: usize) {
        if failures > 0 {
            self.bar.set_message(format!("{failures} failed"));
        }
        self.bar.set_position(done as u64);
        self.line(done, total, failures);
    }

    fn line(&self, done: usize, total: usize, failures: usize) {
        let percent = |done: usize| done * 100 / total.max(1) / PLAIN_STEP;
        if self.plain && percent(done) != percent(done.saturating_sub(1)) {
            anstream::eprintln!(
                "{done}/{total} ({}%), {failures} failed",
                done * 100 / total.max(1)
            );
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
