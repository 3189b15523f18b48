//! A loaded spec: the document, its text, and the formats that follow from it.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::Value;

use crate::error::SpecError;
use crate::format::Format;
use crate::source::{Choice, Document, Patch};
use crate::{locate, patch, resolve, yaml};

/// Chosen readings: choice id → name of the reading.
pub type Readings = BTreeMap<String, String>;

/// A loaded spec.
#[derive(Clone, Debug)]
pub struct Spec {
    file: String,
    text: String,
    value: Value,
    document: Document,
    format: Format,
}

impl Spec {
    /// Reads a spec from the bytes of the YAML file `file`.
    ///
    /// # Errors
    /// When it is not YAML, not a spec, or names something that does not exist; with line and column.
    pub fn load(file: &str, bytes: &[u8]) -> Result<Self, Box<SpecError>> {
        let document: Document = yaml::parse(file, bytes)?;
        let value: Value = yaml::parse(file, bytes)?;
        let text = String::from_utf8_lossy(bytes).into_owned();
        let format = resolve::format(file, &text, &document)?;
        let spec = Self { file: file.to_owned(), text, value, document, format };
        spec.check_choices()?;
        Ok(spec)
    }

    /// The format at the default reading of every choice.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The document as it was written.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The choices of the document with their ids.
    pub fn choices(&self) -> impl Iterator<Item = (&str, &Choice)> {
        self.document.choices.iter().map(|(id, choice)| (id.as_str(), choice))
    }

    /// The name of the default reading of a choice.
    #[must_use]
    pub fn default_reading(&self, choice: &str) -> Option<&str> {
        let readings = &self.document.choices.get(choice)?.readings;
        readings.iter().find(|(_, reading)| reading.default).map(|(name, _)| name.as_str())
    }

    /// The format under these readings; choices that are not named keep their default.
    ///
    /// # Errors
    /// When a choice or reading does not exist, or the spec does not resolve under it.
    pub fn under(&self, readings: &Readings) -> Result<Format, Box<SpecError>> {
        let mut patches = Vec::new();
        for (choice, name) in readings {
            let known = self.document.choices.get(choice);
            let reading = known.and_then(|known| known.readings.get(name));
            let Some(reading) = reading else {
                return Err(self.no_such_reading(choice, name, known));
            };
            patches.push((["choices", choice, name], &reading.set));
        }
        self.patched(&patches)
    }

    /// The format as the dialect `variant`.
    ///
    /// # Errors
    /// When there is no such variant, or the spec does not resolve as it.
    pub fn variant(&self, variant: &str) -> Result<Format, Box<SpecError>> {
        let Some(found) = self.document.variants.get(variant) else {
            let known: Vec<&str> = self.document.variants.keys().map(String::as_str).collect();
            return Err(self.error(
                0,
                format!("there is no variant `{variant}`"),
                format!("known: {}", known.join(", ")),
            ));
        };
        self.patched(&[(["variants", variant, "set"], &found.set)])
    }

    /// The spec of the dialect `variant`: what follows from it is as if the document had been written so.
    ///
    /// # Errors
    /// As [`Spec::variant`].
    pub fn dialect(&self, variant: &str) -> Result<Self, Box<SpecError>> {
        self.variant(variant)?;
        let empty = Patch::new();
        let set = self.document.variants.get(variant).map_or(&empty, |variant| &variant.set);
        let mut value = self.value.clone();
        self.apply(&mut value, &["variants", variant, "set"], set)?;
        if let Some(object) = value.as_object_mut() {
            object.shift_remove("variants");
        }
        let document = Document::deserialize(&value)
            .map_err(|error| self.error(0, error.to_string(), String::new()))?;
        let format = resolve::format(&self.file, &self.text, &document)?;
        let (file, text) = (self.file.clone(), self.text.clone());
        let spec = Self { file, text, value, document, format };
        spec.check_choices()?;
        Ok(spec)
    }

    fn no_such_reading(&self, choice: &str, name: &str, known: Option<&Choice>) -> Box<SpecError> {
        let (what, names): (String, Vec<&str>) = match known {
            Some(known) => (
                format!("choice `{choice}` has no reading `{name}`"),
                known.readings.keys().map(String::as_str).collect(),
            ),
            None => (
                format!("there is no choice `{choice}`"),
                self.document.choices.keys().map(String::as_str).collect(),
            ),
        };
        self.error(
            locate::definition(&self.text, &["choices", choice]),
            what,
            format!("known: {}", names.join(", ")),
        )
    }

    /// The format with patches, each with the way to it in the document.
    fn patched(&self, patches: &[([&str; 3], &Patch)]) -> Result<Format, Box<SpecError>> {
        if patches.iter().all(|(_, patch)| patch.is_empty()) {
            return Ok(self.format.clone());
        }
        let mut value = self.value.clone();
        for (place, patch) in patches {
            self.apply(&mut value, place, patch)?;
        }
        let name = patches.iter().map(|(place, _)| named(place)).collect::<Vec<_>>().join(" with ");
        let place = patches.first().map(|(place, _)| place.as_slice()).unwrap_or_default();
        let at = || locate::definition(&self.text, place);
        let document = Document::deserialize(value)
            .map_err(|error| self.error(at(), format!("under {name}: {error}"), String::new()))?;
        resolve::format(&self.file, &self.text, &document).map_err(|error| {
            let help = format!("without it the spec is right; see line {}", error.line);
            self.error(at(), format!("under {name}: {}", error.message), help)
        })
    }

    fn apply(
        &self,
        value: &mut Value,
        place: &[&str; 3],
        patch: &Patch,
    ) -> Result<(), Box<SpecError>> {
        for (path, new) in patch {
            patch::apply(value, path, new).map_err(|message| {
                let at = locate::mention(&self.text, place, path);
                let help = "steps are keys, or the id or name of a list element: rules.MY-RULE.max";
                self.error(at, format!("under {}: {message}", named(place)), help.into())
            })?;
        }
        Ok(())
    }

    fn check_choices(&self) -> Result<(), Box<SpecError>> {
        for (id, choice) in self.choices() {
            if choice.readings.values().filter(|reading| reading.default).count() != 1 {
                let at = locate::definition(&self.text, &["choices", id]);
                let message = format!("choice `{id}` needs exactly one default reading");
                let help = "write `default: true` in the reading that holds when nothing is said";
                return Err(self.error(at, message, help.into()));
            }
            for name in choice.readings.keys() {
                self.under(&Readings::from([(id.to_owned(), name.clone())]))?;
            }
        }
        self.document.variants.keys().try_for_each(|variant| self.variant(variant).map(drop))
    }

    pub(crate) fn error(&self, at: usize, message: String, help: String) -> Box<SpecError> {
        SpecError::at(
            &self.file,
            &self.text,
            at,
            message,
            Some(help).filter(|help| !help.is_empty()),
        )
    }

    /// File name and text, for findings.
    pub(crate) fn text(&self) -> (&str, &str) {
        (&self.file, &self.text)
    }
}

/// A reading or variant in words.
fn named([list, name, reading]: &[&str; 3]) -> String {
    match *list {
        "choices" => format!("reading `{reading}` of choice `{name}`"),
        _ => format!("variant `{name}`"),
    }
}
