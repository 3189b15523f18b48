//! Edits that cover what a format can say: every code, every bit, every length, the ends of every number,
//! and names as people and attackers choose them.

use blobspec::Format;
use blobspec::format::{ArrayCount, Content, Field, FieldType, Meaning, Refers, Scalar, Target};
use harness_codec::rules::Workbench;
use harness_codec::{Draft, Item, Proposal, Site};

use crate::base::{Base, Shape, profiles};
use crate::limits::MAX_PRODUCT;

/// An edit and the part of the format that it covers.
pub(crate) struct Covering {
    /// Spec path, such as `functions.params`.
    pub(crate) path: String,
    /// What is covered, in one word.
    pub(crate) kind: &'static str,
    pub(crate) proposal: Proposal,
    /// Why a loader could get it wrong.
    pub(crate) why: &'static str,
}

/// The edits of `base` that cover the format.
pub(crate) fn edits(format: &Format, base: &Base) -> Vec<Covering> {
    let bench = base.workbench(format);
    let mut covering = Vec::new();
    for (target, field) in fields(format) {
        let path = format.path_of(&target);
        covering.extend(field_edits(&bench, &target, field).into_iter().flat_map(
            |(kind, why, proposals)| {
                let path = path.clone();
                proposals.into_iter().map(move |proposal| Covering {
                    path: path.clone(),
                    kind,
                    proposal,
                    why,
                })
            },
        ));
    }
    covering.extend(byte_lengths(&bench));
    covering.extend(places(&bench));
    covering.extend(trailers(&bench));
    covering.extend(instructions(&bench));
    covering
}

/// Kind, reason and edits.
type Edits = (&'static str, &'static str, Vec<Proposal>);

fn field_edits(bench: &Workbench<'_>, target: &Target, field: &Field) -> Vec<Edits> {
    let mut edits = Vec::new();
    if let FieldType::Array { count: ArrayCount::Field(count), .. } = &field.field_type {
        let why = "loops and buffers are sized for a usual number";
        edits.push(("length", why, lengths(bench, target, *count)));
    }
    if let FieldType::Pad(length) = field.field_type {
        let why = "padding is compared, or taken for the field beside it";
        edits.push(("padding", why, paddings(bench, target, length)));
    }
    let Some(scalar) = field.field_type.scalar() else { return edits };
    match (scalar.meaning, field.refers) {
        (Meaning::Flags(index), _) => {
            let why = "a defined bit is taken for a reserved one";
            let mask = bench.format.flags[index].mask();
            edits.push(("bits", why, flags(bench, target, mask)));
        }
        (Meaning::Enum(_), _) => {
            let why = "a defined code is missing from a table";
            edits.push(("codes", why, codes(bench, target)));
        }
        (_, Some(Refers::String(_))) => {
            let why = "names are copied into buffers, compared and printed";
            edits.push(("names", why, names(bench, target)));
        }
        (_, Some(_)) => {
            let why = "two elements may refer to the same place";
            edits.push(("shared", why, shared(bench, target)));
        }
        (Meaning::Number, None) if field.derive.is_none() => {
            let why = "a number is read with another width or sign";
            edits.push(("numbers", why, numbers(bench, target, scalar)));
        }
        _ => {}
    }
    edits
}

/// Every field with the target that leads to it.
fn fields(format: &Format) -> Vec<(Target, &Field)> {
    let mut found = Vec::new();
    for (region, spec) in format.regions.iter().enumerate() {
        if let Some(record) = spec.record() {
            fields_of(format, record, &Target { region, path: Vec::new() }, &mut found);
        }
    }
    found
}

fn fields_of<'f>(
    format: &'f Format,
    record: usize,
    target: &Target,
    found: &mut Vec<(Target, &'f Field)>,
) {
    for (index, field) in format.records[record].fields.iter().enumerate() {
        let mut inner = target.clone();
        inner.path.push(index);
        if let Some(record) = field.field_type.record() {
            fields_of(format, record, &inner, found);
        }
        found.push((inner, field));
    }
}

/// First and last site.
fn ends(draft: &Draft, target: &Target) -> Vec<Site> {
    let mut sites = draft.sites(target);
    let last = if sites.len() > 1 { sites.pop() } else { None };
    sites.truncate(1);
    sites.extend(last);
    sites
}

fn flags(bench: &Workbench<'_>, target: &Target, mask: u64) -> Vec<Proposal> {
    let bits =
        (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| (format!("bit-{bit}"), 1_u64 << bit));
    let values: Vec<(String, u64)> =
        bits.chain([("all-defined".to_owned(), mask), ("none".to_owned(), 0)]).collect();
    let sites = ends(bench.draft, target);
    sites
        .iter()
        .flat_map(|site| values.iter().filter_map(|(n, v)| bench.set(site, n, *v)))
        .collect()
}

fn codes(bench: &Workbench<'_>, target: &Target) -> Vec<Proposal> {
    let Some(Meaning::Enum(index)) = bench
        .format
        .leaf(target)
        .and_then(|field| field.field_type.scalar())
        .map(|scalar| scalar.meaning)
    else {
        return Vec::new();
    };
    let values = &bench.format.enums[index].values;
    let sites = ends(bench.draft, target);
    sites
        .iter()
        .flat_map(|site| values.iter().filter_map(|v| bench.set(site, &v.name, v.code)))
        .collect()
}

fn numbers(bench: &Workbench<'_>, target: &Target, scalar: Scalar) -> Vec<Proposal> {
    let max = scalar.max();
    let values = [
        ("0", 0),
        ("1", 1),
        ("low-byte-full", 0xff.min(max)),
        ("second-byte", 0x100.min(max)),
        ("below-half", max >> 1),
        ("half", (max >> 1) + 1),
        ("max-minus-1", max - 1),
        ("max", max),
    ];
    let sites = ends(bench.draft, target);
    sites
        .iter()
        .flat_map(|site| values.iter().filter_map(|(n, v)| bench.set(site, n, *v)))
        .collect()
}

fn shared(bench: &Workbench<'_>, target: &Target) -> Vec<Proposal> {
    let sites = bench.draft.sites(target);
    let (Some(first), Some(last)) = (sites.first(), sites.last()) else { return Vec::new() };
    let Some(Item::Number(value)) = bench.draft.get(first) else { return Vec::new() };
    bench.set(last, "same-as-first", *value).into_iter().collect()
}

const NAMES: &[(&str, &str)] = &[
    ("empty", ""),
    ("one-letter", "x"),
    ("two-byte-character", "é"),
    ("three-byte-character", "漢"),
    ("four-byte-character", "😀"),
    ("combining", "e\u{301}"),
    ("right-to-left", "\u{202e}txt.exe"),
    ("byte-order-mark", "\u{feff}name"),
    ("line-break", "a\nb"),
    ("control", "\u{1b}[31m"),
    ("format-string", "%s%s%n"),
    ("path", "../../../../etc/passwd"),
    ("markup", "<b>&amp;\"'"),
    ("separators", "a.b:c/d\\e"),
    ("upper-case", "FUNCTIONS_0"),
    ("prefix-of-another", "functions_"),
];

fn names(bench: &Workbench<'_>, target: &Target) -> Vec<Proposal> {
    let sites = ends(bench.draft, target);
    let mut proposals = Vec::new();
    for site in &sites {
        let lengths = [255_usize, 256, 4095];
        let long = lengths.map(|length| (format!("{length}-bytes"), "n".repeat(length)));
        let short = NAMES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        for (name, text) in short.chain(long) {
            let words = if text.len() < 40 {
                format!("{text:?}")
            } else {
                format!("{} times `n`", text.len())
            };
            proposals.extend(bench.put(site, &name, Item::Name(text), &words));
        }
        // The name of an element of another table: tables have name spaces of their own.
        for (region, spec) in
            bench.format.regions.iter().enumerate().filter(|(region, _)| *region != site.region)
        {
            let name = format!("{}_0", spec.name);
            if bench.draft.regions[region].item.children().is_empty() || spec.record().is_none() {
                continue;
            }
            let words = format!("{name:?}");
            proposals.extend(bench.put(
                site,
                &format!("as-in-{}", spec.name),
                Item::Name(name),
                &words,
            ));
        }
    }
    proposals
}

/// Array fields of every length from none to as many as their count can say.
fn lengths(bench: &Workbench<'_>, target: &Target, count: usize) -> Vec<Proposal> {
    let mut counter = target.clone();
    counter.path.pop();
    counter.path.push(count);
    let max = bench
        .format
        .leaf(&counter)
        .and_then(|field| field.field_type.scalar())
        .map_or(0, Scalar::max);
    let most = usize::try_from(max.min(300)).unwrap_or(300);
    // The list itself is one step above the elements that the target walks.
    let mut lists: Vec<Site> = bench
        .draft
        .sites(&Target { path: target.path[..target.path.len() - 1].to_vec(), ..target.clone() });
    for list in &mut lists {
        list.steps.extend(target.path.last());
    }
    let Some(list) = lists.last().cloned() else { return Vec::new() };
    let Some(Item::List(elements)) = bench.draft.get(&list) else { return Vec::new() };
    let Some(element) = elements.first().cloned() else { return Vec::new() };
    let numbers = [0, 1, 2, 8, 127, 128, most.saturating_sub(1), most];
    let resized = |number: usize| {
        let items = Item::List(vec![element.clone(); number]);
        bench.put(&list, &format!("{number}-elements"), items, &format!("{number} elements"))
    };
    numbers.into_iter().filter(|number| *number <= most).filter_map(resized).collect()
}

/// Byte regions around page sizes and the ends of 16-bit lengths.
fn byte_lengths(bench: &Workbench<'_>) -> Vec<Covering> {
    let mut covering = Vec::new();
    for (region, spec) in bench.format.regions.iter().enumerate() {
        let Item::Bytes(bytes) = &bench.draft.regions[region].item else { continue };
        let site = Site { region, steps: Vec::new() };
        for length in [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 4095, 4096, 4097, 8192, 65_535, 65_536] {
            let mut resized = bytes.clone();
            resized.resize(length, 0);
            let words = format!("{length} bytes");
            let proposal =
                bench.put(&site, &format!("{length}-bytes"), Item::Bytes(resized), &words);
            let why = "mappings are rounded to pages and lengths kept in too few bits";
            covering.extend(proposal.map(|proposal| Covering {
                path: spec.name.clone(),
                kind: "length",
                proposal,
                why,
            }));
        }
    }
    covering
}

/// Bytes that mean nothing, all ones and all different.
fn paddings(bench: &Workbench<'_>, target: &Target, length: u64) -> Vec<Proposal> {
    let length = u8::try_from(length.min(255)).unwrap_or(u8::MAX);
    let fills = [("ones", vec![0xff; usize::from(length)]), ("counting", (1..=length).collect())];
    let sites = ends(bench.draft, target);
    let put = |site: &Site, (name, bytes): &(&str, Vec<u8>)| {
        bench.put(site, name, Item::Bytes(bytes.clone()), &format!("{bytes:02x?}"))
    };
    sites.iter().flat_map(|site| fills.iter().filter_map(|fill| put(site, fill))).collect()
}

/// Regions that are placed by a number with a gap before them.
fn places(bench: &Workbench<'_>) -> Vec<Covering> {
    let mut covering = Vec::new();
    for (region, spec) in bench.format.regions.iter().enumerate().filter(|(_, r)| r.at.is_some()) {
        let start = bench.model.regions[region].span.range().start;
        for gap in [1, 8, 16, 4096] {
            let at = start.next_multiple_of(gap) + gap;
            let proposal = bench.move_to(region, &format!("after-{gap}-more"), at);
            let why = "tables are expected where the usual writer puts them";
            covering.extend(proposal.map(|proposal| Covering {
                path: spec.name.clone(),
                kind: "place",
                proposal,
                why,
            }));
        }
    }
    covering
}

/// Files with a second copy of a region at their end, which counts: alike, beside a damaged first one, and cut.
fn trailers(bench: &Workbench<'_>) -> Vec<Covering> {
    let mut covering = Vec::new();
    for (region, spec) in bench.format.regions.iter().enumerate() {
        if spec.trailer.is_none() {
            continue;
        }
        let copy = bench.model.regions[region].span.of(bench.file).to_vec();
        let mut copied = bench.draft.clone();
        copied.trailing.extend_from_slice(&copy);
        let mut damaged = copied.clone();
        if let Some(Item::Bytes(bytes)) = damaged.get_mut(&Site { region, steps: vec![0] }) {
            bytes.fill(0);
        }
        let mut cut = copied.clone();
        cut.trailing.pop();
        let mut followed = copied.clone();
        followed.trailing.push(0);
        for (name, draft, edit) in [
            ("copy", copied, "a copy of it at the end"),
            ("only", damaged, "a copy of it at the end, the first bytes of the file zero"),
            ("cut", cut, "a copy of it at the end, but for its last byte"),
            ("followed", followed, "a copy of it before the last byte"),
        ] {
            let edit = format!("{}: {edit}", spec.name);
            let proposal = Proposal { name: name.to_owned(), edit, draft, twin: None };
            let why = "the end of the file is not looked at, or looked at second";
            let path = spec.name.clone();
            covering.push(Covering { path, kind: "trailer", proposal, why });
        }
    }
    covering
}

/// Every instruction with the ends of its operands' ranges.
fn instructions(bench: &Workbench<'_>) -> Vec<Covering> {
    let mut covering = Vec::new();
    for (region, spec) in bench.format.regions.iter().enumerate() {
        let Content::Stream { opcodes, .. } = spec.content else { continue };
        let table = &bench.format.opcodes[opcodes];
        for (position, instruction) in table.instructions.iter().enumerate() {
            for (name, pick) in OPERANDS {
                let widest = |scalar: &Scalar| pick(scalar.max());
                let mut values: Vec<u64> = table.before.iter().map(|_| 0).collect();
                instruction.when.iter().for_each(|(before, value)| values[*before] = *value);
                values.extend(instruction.operands.iter().map(|(_, scalar)| widest(scalar)));
                let item =
                    Item::Instruction(position, values.into_iter().map(Item::Number).collect());
                let site = Site { region, steps: Vec::new() };
                let name = format!("{}/{name}", instruction.mnemonic);
                let words = format!("one {} alone", instruction.mnemonic);
                let proposal = bench.put(&site, &name, Item::List(vec![item]), &words);
                let why = "an operand is read with another width, sign or byte order";
                covering.extend(proposal.map(|proposal| Covering {
                    path: spec.name.clone(),
                    kind: "instructions",
                    proposal,
                    why,
                }));
            }
        }
    }
    covering
}

/// A value, by the largest one of its type.
type Pick = fn(u64) -> u64;

/// Values of operands.
const OPERANDS: &[(&str, Pick)] = &[
    ("zero", |_| 0),
    ("one", |_| 1),
    ("below-half", |max| max >> 1),
    ("half", |max| (max >> 1) + 1),
    ("max", |max| max),
];

/// Files with other numbers of elements: each array region alone with none, one and many.
pub(crate) fn table_sizes(format: &Format) -> Vec<(String, Base)> {
    let mut bases = Vec::new();
    let codes = profiles(format).into_iter().next().map(|(_, codes)| codes).unwrap_or_default();
    for (region, spec) in format.regions.iter().enumerate() {
        if !matches!(spec.content, Content::Array { .. }) {
            continue;
        }
        for (default, others) in [(0, "alone"), (2, "among-others")] {
            for (name, elements) in
                [("none", 0), ("one", 1), ("two", 2), ("many", 17), ("hundreds", 300)]
            {
                let shape = Shape {
                    elements: default,
                    per_region: [(region, elements)].into(),
                    codes: codes.clone(),
                    code: true,
                };
                if let Ok(base) = Base::make(format, &format!("{name}-{others}"), &shape) {
                    bases.push((spec.name.clone(), base));
                }
            }
        }
    }
    bases
}

/// Every combination of the codes and bits of record regions, up to [`MAX_PRODUCT`].
pub(crate) fn combinations(format: &Format, base: &Base) -> Vec<Proposal> {
    let mut axes: Vec<(Site, Vec<(String, u64)>)> = Vec::new();
    for (target, field) in fields(format) {
        let single = matches!(format.regions[target.region].content, Content::Record(_));
        let Some(scalar) = field.field_type.scalar().filter(|_| single) else { continue };
        let values: Vec<(String, u64)> = match scalar.meaning {
            Meaning::Enum(index) => {
                format.enums[index].values.iter().map(|v| (v.name.clone(), v.code)).collect()
            }
            Meaning::Flags(index) => {
                let bits =
                    format.flags[index].bits.iter().map(|(name, bit)| (name.clone(), 1_u64 << bit));
                bits.chain([("no-flags".to_owned(), 0)]).collect()
            }
            Meaning::Number => continue,
        };
        axes.push((Site { region: target.region, steps: target.path.clone() }, values));
    }
    let product: usize = axes.iter().map(|(_, values)| values.len()).product();
    if axes.len() < 2 || product > MAX_PRODUCT {
        return Vec::new();
    }
    let combine = |mut index: usize| {
        let mut draft = base.draft.clone();
        let mut names = Vec::new();
        for (site, values) in &axes {
            let (name, value) = values.get(index % values.len())?;
            index /= values.len();
            *draft.get_mut(site)? = Item::Number(*value);
            names.push(name.replace('_', "-"));
        }
        let name = names.join("/");
        Some(Proposal { edit: format!("header of {}", names.join(", ")), name, draft, twin: None })
    };
    (0..product).filter_map(combine).collect()
}
