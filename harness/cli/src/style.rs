//! Colours: on terminals, unless `--color` or `NO_COLOR` says otherwise.

use anstream::ColorChoice;
use owo_colors::{OwoColorize as _, Style};

use crate::args::{ColorWhen, Global};

/// Puts `--color` into force for everything that is printed through `anstream` and `miette`.
pub(crate) fn init(global: &Global) {
    match global.color {
        ColorWhen::Auto => {}
        ColorWhen::Always => ColorChoice::Always.write_global(),
        ColorWhen::Never => ColorChoice::Never.write_global(),
    }
    let colored = colors(&std::io::stderr());
    let width = 100;
    // Fails only when a hook is set already, and then that one is as good.
    let _ = miette::set_hook(Box::new(move |_| {
        Box::new(
            miette::MietteHandlerOpts::new().color(colored).unicode(colored).width(width).build(),
        )
    }));
}

/// Whether text for `stream` is to be coloured.
pub(crate) fn colors(stream: &impl anstream::stream::RawStream) -> bool {
    anstream::AutoStream::choice(stream) != ColorChoice::Never
}

/// Text that is shown as an error.
pub(crate) fn bad(text: &str) -> String {
    text.style(Style::new().red().bold()).to_string()
}

/// Text that is shown as good.
pub(crate) fn good(text: &str) -> String {
    text.style(Style::new().green().bold()).to_string()
}

/// Text that stays in the background.
pub(crate) fn dim(text: &str) -> String {
    text.style(Style::new().dimmed()).to_string()
}

/// A name.
pub(crate) fn name(text: &str) -> String {
    text.style(Style::new().cyan()).to_string()
}
