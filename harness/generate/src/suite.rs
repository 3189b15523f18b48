//! Test vectors with expectations that the codec has proven.

mod executing;
mod modules;

use std::collections::{BTreeMap, HashMap, HashSet};

use blobspec::format::{Check, Content, Level, Meaning, Operand, Rule, Target};
use blobspec::{Format, Readings, Spec, SpecError};
use harness_codec::{
    Decoded, Item, Proposal, Site, Verdict, decode, encode, model_json, proposals,
};
use harness_protocol::{self as protocol, Expect, Needs, Stage, Vector, Want};

use crate::base::{Base, BaseError, bases};
use crate::limits::{MAX_PER_READING, MAX_VECTOR_BYTES};
use crate::{base, coverage, linking, truncation};

/// The vectors of one format under one set of readings.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Id of the format.
    pub format: String,
    /// Version of the format.
    pub version: String,
    /// The vectors, in a fixed order.
    pub vectors: Vec<Vector>,
    /// Name of the group of each vector.
    pub groups: Vec<String>,
    /// Proposals that were meant to break a rule and broke others as well: rule position → broken rules.
    pub entangled: BTreeMap<usize, HashSet<Vec<usize>>>,
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The spec does not resolve under the readings.
    #[error(transparent)]
    Spec(#[from] Box<SpecError>),
    /// No valid file can be made.
    #[error(transparent)]
    Base(#[from] BaseError),
}

/// Makes the vectors of `spec` under `readings` (empty: the defaults). The same input gives the same bytes.
///
/// # Errors
/// When the spec does not resolve under the readings or no valid file follows from it.
pub fn generate(spec: &Spec, readings: &Readings) -> Result<Suite, GenerateError> {
    let format = spec.under(readings)?;
    let bases = bases(&format)?;
    let mut maker = Maker::new(&format);
    for base in &bases {
        maker.base(base);
    }
    for base in &bases {
        maker.rules(base, &format.rules);
    }
    maker.tables();
    if let Some(rich) = bases.first() {
        maker.coverage(rich);
        maker.combinations(rich);
        maker.truncations(rich);
    }
    maker.loading(&bases);
    maker.linking(&bases);
    maker.executing();
    let others = other_readings(spec, readings)?;
    for (choice, reading, other) in &others {
        maker.reading(choice, reading, other)?;
    }
    maker.annotate(&others);
    Ok(maker.finish())
}

/// Every reading that is not in force, with the format under it alone.
fn other_readings(
    spec: &Spec,
    readings: &Readings,
) -> Result<Vec<(String, String, Format)>, Box<SpecError>> {
    let mut others = Vec::new();
    for (choice, known) in spec.choices() {
        let current = readings.get(choice).map(String::as_str).or(spec.default_reading(choice));
        for name in known.readings.keys().filter(|name| Some(name.as_str()) != current) {
            let mut under = readings.clone();
            under.insert(choice.to_owned(), name.clone());
            others.push((choice.to_owned(), name.clone(), spec.under(&under)?));
        }
    }
    Ok(others)
}

/// What a conforming loader answers for `file`, for at most one violated rule; `None` when several rules
/// are violated, since no loader is held to an order of checks.
#[must_use]
pub fn expectation(format: &Format, file: &[u8], decoded: &Decoded) -> Option<Expect> {
    match (&decoded.verdict, decoded.violated_rules().as_slice()) {
        (Verdict::Valid, _) => Some(Expect {
            model: Some(model_json(format, &decoded.model, file)),
            ..expect(vec![Stage::Valid])
        }),
        (Verdict::Rejected { offset, .. }, [rule]) => {
            let rule = &format.rules[*rule];
            let stages =
                std::iter::once(&rule.stage).chain(&rule.also).map(|s| stage(*s)).collect();
            Some(Expect { rule: Some(rule.id.clone()), offset: Some(*offset), ..expect(stages) })
        }
        _ => None,
    }
}

fn expect(stages: Vec<Stage>) -> Expect {
    Expect { stages, ..Expect::default() }
}

/// The protocol's name for a stage of the spec.
#[must_use]
pub fn stage(stage: blobspec::format::Stage) -> Stage {
    use blobspec::format::Stage as S;
    match stage {
        S::Malformed => Stage::Malformed,
        S::Invalid => Stage::Invalid,
        S::Unsupported => Stage::Unsupported,
        S::Unresolvable => Stage::Unresolvable,
        S::Unmappable => Stage::Unmappable,
        S::Loaded => Stage::Loaded,
    }
}

/// The name of a code of the enum that a target ends in.
pub(crate) fn enum_name<'f>(format: &'f Format, target: &Target, code: u64) -> Option<&'f str> {
    let scalar = format.leaf(target)?.field_type.scalar()?;
    let Meaning::Enum(index) = scalar.meaning else { return None };
    format.enums.get(index)?.value(code).map(|value| value.name.as_str())
}

/// A vector about to be made.
struct Candidate<'a> {
    id: String,
    group: String,
    base: &'a str,
    file: Vec<u8>,
    edit: String,
    twin: Option<String>,
    rule: Option<&'a Rule>,
    why: String,
    want: Want,
    imports: BTreeMap<String, u64>,
    /// Where the lowest image is to lie.
    base_address: Option<u64>,
}

impl<'a> Candidate<'a> {
    /// A vector that asks for validation of what `proposal` writes; `None` when it cannot be written.
    fn of(
        format: &Format,
        id: String,
        base: &'a str,
        proposal: Proposal,
        why: impl Into<String>,
    ) -> Option<Self> {
        let file = encode(format, &proposal.draft).ok()?.bytes;
        let group = id.split(['/', '.']).nth(1).unwrap_or_default().to_owned();
        let Proposal { edit, twin, .. } = proposal;
        Some(Self {
            id,
            group,
            base,
            file,
            edit,
            twin,
            rule: None,
            why: why.into(),
            want: Want::Validate,
            imports: BTreeMap::new(),
            base_address: None,
        })
    }
}

/// File, what to do with it, what it imports, and where it is to lie.
type Asked = (Vec<u8>, Want, BTreeMap<String, u64>, Option<u64>);

struct Maker<'f> {
    format: &'f Format,
    vectors: Vec<Vector>,
    groups: Vec<String>,
    /// The vector that asks this of these bytes.
    seen: HashMap<Asked, String>,
    /// Ids of all vectors, and of proposals whose bytes another vector has: that vector's.
    ids: HashMap<String, String>,
    /// Edits that have become a vector from one base and would test nothing new from another.
    tried: HashSet<String>,
    entangled: BTreeMap<usize, HashSet<Vec<usize>>>,
}

impl<'f> Maker<'f> {
    fn new(format: &'f Format) -> Self {
        Self {
            format,
            vectors: Vec::new(),
            groups: Vec::new(),
            seen: HashMap::new(),
            ids: HashMap::new(),
            tried: HashSet::new(),
            entangled: BTreeMap::new(),
        }
    }

    fn id(&self, parts: &[&str]) -> String {
        let id: Vec<&str> =
            std::iter::once(self.format.id.as_str()).chain(parts.iter().copied()).collect();
        id.join("/")
    }

    /// Makes the vector if it is new and decided by at most one rule; whether it was made.
    fn add(&mut self, candidate: Option<Candidate<'_>>) -> bool {
        let Some(candidate) = candidate else { return false };
        let imports = candidate.imports.clone();
        let key = (candidate.file.clone(), candidate.want, imports, candidate.base_address);
        if key.0.len() > MAX_VECTOR_BYTES || self.ids.contains_key(&candidate.id) {
            return false;
        }
        if let Some(same) = self.seen.get(&key) {
            self.ids.insert(candidate.id, same.clone());
            return false;
        }
        let decoded = decode(self.format, &candidate.file);
        let expect = match candidate.want {
            Want::Load => {
                linking::expectation(self.format, &candidate.file, &decoded, &candidate.imports)
            }
            _ => expectation(self.format, &candidate.file, &decoded),
        };
        let Some(expect) = expect else {
            self.note_entangled(&candidate, &decoded);
            return false;
        };
        self.seen.insert(key, candidate.id.clone());
        self.ids.insert(candidate.id.clone(), candidate.id.clone());
        self.groups.push(candidate.group.clone());
        let vector = self.vector(candidate, &decoded, expect);
        self.vectors.push(vector);
        true
    }

    fn vector(&self, candidate: Candidate<'_>, decoded: &Decoded, expect: Expect) -> Vector {
        let observe = if candidate.want == Want::Load && expect.accepts() {
            linking::observed(self.format, candidate.rule.map_or(Level::Must, |rule| rule.level))
        } else {
            Vec::new()
        };
        let broken = expect.rule.as_deref().and_then(|id| self.format.rule(id));
        let rule = broken.or(candidate.rule);
        Vector {
            id: candidate.id,
            rule: rule.map(|rule| rule.id.clone()),
            base: candidate.base.to_owned(),
            edit: candidate.edit,
            want: candidate.want,
            bytes: candidate.file.into(),
            call: None,
            needs: needs(self.format, decoded, &expect),
            expect,
            readings: BTreeMap::new(),
            imports: candidate.imports,
            base_address: candidate.base_address,
            observe,
            twin: candidate.twin,
            level: rule.map_or(protocol::Level::Must, level),
            why: broken.map_or(candidate.why, |rule| rule.why.clone()),
            ..Vector::default()
        }
    }

    fn note_entangled(&mut self, candidate: &Candidate<'_>, decoded: &Decoded) {
        let Some(rule) = candidate.rule else { return };
        let position = self.format.rules.iter().position(|known| known.id == rule.id);
        let broken = decoded.violated_rules();
        if let Some(position) = position.filter(|position| broken.contains(position)) {
            self.entangled.entry(position).or_default().insert(broken);
        }
    }

    fn base(&mut self, base: &Base) {
        let proposal = Proposal::plain(&base.name, &base.draft);
        let id = self.id(&["base", &base.name]);
        self.add(Candidate::of(self.format, id, &base.name, proposal, "a plain valid file"));
    }

    /// Vectors that break each rule, and their partners that do not.
    fn rules(&mut self, base: &Base, rules: &'f [Rule]) {
        let format = self.format;
        for rule in rules.iter().filter(|rule| rule.active) {
            let special = base::where_it_looks(format, base, rule);
            let base = special.as_ref().unwrap_or(base);
            let subject = subject(format, rule);
            let profile = if depends_on_profile(rule) { base.name.as_str() } else { "" };
            for mut proposal in proposals(&base.workbench(format), rule) {
                let key =
                    [subject.as_str(), rule.kind, &rule.id, profile, &proposal.name].join("/");
                if self.tried.contains(&key) {
                    continue;
                }
                let full = |name: &str| self.id(&[&subject, rule.kind, &base.name, name]);
                let id = full(&proposal.name);
                proposal.twin = proposal.twin.map(|twin| full(&twin));
                let why = format!("stands just inside {}: rejecting it is too strict", rule.id);
                let candidate = Candidate::of(format, id, &base.name, proposal, why);
                if self.add(candidate.map(|candidate| Candidate { rule: Some(rule), ..candidate }))
                {
                    self.tried.insert(key);
                }
            }
        }
    }

    fn coverage(&mut self, base: &Base) {
        for edit in coverage::edits(self.format, base) {
            let id = self.id(&[&edit.path, edit.kind, &base.name, &edit.proposal.name]);
            self.add(Candidate::of(self.format, id, &base.name, edit.proposal, edit.why));
        }
    }

    fn tables(&mut self) {
        for (region, base) in coverage::table_sizes(self.format) {
            let mut proposal = Proposal::plain(&base.name, &base.draft);
            proposal.edit = format!("{region} has {} elements", base.name.replace('-', " "));
            let id = self.id(&[&region, "elements", &base.name]);
            let why = "tables are empty, hold one entry or many";
            self.add(Candidate::of(self.format, id, &base.name, proposal, why));
        }
    }

    fn combinations(&mut self, base: &Base) {
        for proposal in coverage::combinations(self.format, base) {
            let id = self.id(&["combinations", &base.name, &proposal.name]);
            let why = "a combination of codes that no example shows";
            let candidate = Candidate::of(self.format, id, &base.name, proposal, why);
            self.add(candidate.filter(|candidate| {
                decode(self.format, &candidate.file).verdict == Verdict::Valid
            }));
        }
    }

    fn truncations(&mut self, base: &Base) {
        for proposal in truncation::propose(base) {
            let id = self.id(&["truncation", &base.name, &proposal.name]);
            let why = "the file ends where a loader still reads";
            self.add(Candidate::of(self.format, id, &base.name, proposal, why));
        }
    }

    /// Files to be mapped, with what the harness looks at then.
    fn loading(&mut self, bases: &[Base]) {
        let format = self.format;
        for rule in format.rules.iter().filter(|rule| rule.active) {
            let Check::Mapping { image, .. } = &rule.check else { continue };
            let image = &format.images[*image];
            let blobspec::format::ImageSource::Region(region) = image.source else { continue };
            // Rich and empty files of every profile: something to protect, and nothing.
            for base in bases.iter().filter(|base| !base.name.starts_with("single")) {
                self.loading_sizes(base, rule, &image.name, region);
            }
        }
    }

    fn loading_sizes(&mut self, base: &Base, rule: &'f Rule, image: &str, region: usize) {
        let site = Site { region, steps: Vec::new() };
        let Some(Item::Bytes(code)) = base.draft.get(&site) else { return };
        for length in [code.len(), 4095, 4096, 4097, 16_384]
            .into_iter()
            .filter(|length| *length >= code.len())
        {
            let mut bytes = code.clone();
            bytes.resize(length, 0);
            let Some(draft) = base.draft.with(&site, Item::Bytes(bytes)) else { continue };
            let mut proposal = Proposal::plain(&format!("{length}-bytes"), &draft);
            proposal.edit = format!("{image} of {length} bytes, mapped");
            let id = self.id(&["loading", image, &base.name, &proposal.name]);
            let candidate = Candidate::of(self.format, id, &base.name, proposal, rule.why.clone());
            self.add(candidate.map(|candidate| Candidate {
                rule: Some(rule),
                want: Want::Load,
                ..candidate
            }));
        }
    }

    /// Files that another reading sees differently.
    fn reading(&mut self, choice: &str, reading: &str, other: &Format) -> Result<(), BaseError> {
        let mut made = 0;
        let concerned = |rule: &&Rule| rule.active && rule.choice.as_deref() == Some(choice);
        for base in bases(other)? {
            let mut plain = Proposal::plain("base", &base.draft);
            plain.edit = format!("a valid file as `{reading}` reads it");
            let bench = base.workbench(other);
            let broken =
                other.rules.iter().filter(concerned).flat_map(|rule| proposals(&bench, rule));
            for proposal in std::iter::once(plain).chain(broken) {
                let id = self.id(&["choices", choice, reading, &base.name, &proposal.name]);
                let why = format!("`{choice}` may be read as `{reading}`");
                let Some(candidate) = Candidate::of(other, id, &base.name, proposal, why) else {
                    continue;
                };
                let (theirs, ours) =
                    (decode(other, &candidate.file), decode(self.format, &candidate.file));
                let decided = theirs.violated_rules().len() <= 1 && ours.verdict != theirs.verdict;
                if made < MAX_PER_READING && decided && self.add(Some(candidate)) {
                    made += 1;
                }
            }
        }
        Ok(())
    }

    /// Records what each vector's answer is under the other readings, where it differs.
    fn annotate(&mut self, others: &[(String, String, Format)]) {
        // The modules of a scenario are not decoded again: readings that see them differently make it anew.
        let decoded_again = |vector: &&mut Vector| {
            vector.want != Want::Scenario && vector.needs.not_architecture.is_none()
        };
        for vector in self.vectors.iter_mut().filter(decoded_again) {
            for (choice, reading, other) in others {
                let decoded = decode(other, &vector.bytes.0);
                let theirs = match vector.want {
                    Want::Call => executing::under_reading(self.format, other, vector),
                    Want::Load => {
                        linking::expectation(other, &vector.bytes.0, &decoded, &vector.imports)
                    }
                    _ => expectation(other, &vector.bytes.0, &decoded),
                };
                let Some(mut theirs) = theirs else { continue };
                if theirs.model == vector.expect.model {
                    theirs.model = None;
                }
                if differs(&theirs, &vector.expect) {
                    vector
                        .readings
                        .entry(choice.clone())
                        .or_default()
                        .insert(reading.clone(), theirs);
                }
            }
        }
    }

    fn finish(mut self) -> Suite {
        let accepts: HashMap<&str, bool> =
            self.vectors.iter().map(|v| (v.id.as_str(), v.expect.accepts())).collect();
        let partner = |vector: &Vector| {
            let twin = self.ids.get(vector.twin.as_ref()?)?;
            (*accepts.get(twin.as_str())? != vector.expect.accepts()).then(|| twin.clone())
        };
        // A partner that was not kept, or is on the same side after all, is none.
        let partners: Vec<Option<String>> = self.vectors.iter().map(partner).collect();
        for (vector, partner) in self.vectors.iter_mut().zip(partners) {
            vector.twin = partner;
        }
        Suite {
            format: self.format.id.clone(),
            version: self.format.version.clone(),
            vectors: self.vectors,
            groups: self.groups,
            entangled: self.entangled,
        }
    }
}

fn differs(a: &Expect, b: &Expect) -> bool {
    a.stages != b.stages
        || a.rule != b.rule
        || a.offset != b.offset
        || (a.model.is_some() && a.model != b.model)
        || a.images != b.images
        || a.exports != b.exports
}

/// Whether a rule's boundary lies elsewhere in files of another profile.
fn depends_on_profile(rule: &Rule) -> bool {
    let attribute = |operand: &Operand| matches!(operand, Operand::Attribute { .. });
    match &rule.check {
        Check::Align { to, .. } => attribute(to),
        Check::Fits { start, length, size, .. } => [start, length, size].into_iter().any(attribute),
        Check::Disjoint { start, length, .. } => [start, length].into_iter().any(attribute),
        _ => false,
    }
}

/// What a rule is about, as the first part of an id.
fn subject(format: &Format, rule: &Rule) -> String {
    match &rule.check {
        Check::Bounds { region } | Check::Filled { region, .. } | Check::Utf8 { region } => {
            format.regions[*region].name.clone()
        }
        Check::Ends { .. } => "file".into(),
        Check::Separate { regions } => regions
            .first()
            .map_or_else(|| "file".into(), |region| format.regions[*region].name.clone()),
        Check::Mapping { image, .. } => format.images[*image].name.clone(),
        check => check.target().map_or_else(|| "file".into(), |target| format.path_of(target)),
    }
}

fn level(rule: &Rule) -> protocol::Level {
    match rule.level {
        Level::Must => protocol::Level::Must,
        Level::Should => protocol::Level::Should,
    }
}

/// What a loader must support: the architecture of a file that is right in itself.
fn needs(format: &Format, decoded: &Decoded, expect: &Expect) -> Needs {
    if !expect.accepts() && decoded.verdict != Verdict::Valid {
        return Needs::default();
    }
    let architecture = crate::base::profiles(format).first().and_then(|(_, codes)| {
        let (site, _) = codes.first()?;
        let region = &decoded.model.regions.get(site.region)?.node;
        let code = site
            .steps
            .iter()
            .try_fold(region, |node, step| node.children().get(*step))?
            .number()?;
        let Content::Record(record) = format.regions[site.region].content else { return None };
        let field = format.records[record].fields.get(*site.steps.first()?)?;
        let Meaning::Enum(index) = field.field_type.scalar()?.meaning else { return None };
        Some(format.enums[index].value(code)?.name.clone())
    });
    Needs { architecture, ..Needs::default() }
}
