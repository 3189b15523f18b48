//! The draft of an SMF module: what the linked objects become, in the terms of `spec/formats/smf.yaml`.

use harness_codec::{Draft, Item};

use super::{Builder, region_draft, write};
use crate::failure::Failure;
use crate::pack::smf::{
    Binding, Module, Relocation, RelocationKind, Section, SectionKind, Symbol, SymbolKind,
};

/// What the header says beside what follows from the objects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SmfHeader {
    /// Whether the module may be replaced while it is in use.
    pub(crate) reloadable: bool,
    /// Which state of its source it was made from; 0 if that is not known.
    pub(crate) source_hash: u64,
}

/// Writes `module` as a file of `format`, and proves that the file is valid.
pub(crate) fn smf(
    format: &blobspec::Format,
    module: &Module,
    header: SmfHeader,
) -> Result<Vec<u8>, Failure> {
    let builder = Builder { format };
    let mut regions = Vec::new();
    for region in &format.regions {
        let item = match region.name.as_str() {
            "header" => builder.smf_header(module, header)?,
            "sections" => builder.smf_sections(module)?,
            "contents" => contents(module),
            "relocations" => builder.smf_relocations(module)?,
            "symbols" => list(module.symbols.iter().map(|symbol| builder.smf_symbol(symbol)))?,
            _ => Item::List(Vec::new()),
        };
        regions.push(region_draft(region, item));
    }
    write(
        format,
        &Draft { regions, gaps: Vec::new(), cut: None, trailing: Vec::new(), truncate: None },
    )
}

/// The bytes of every section that has some; those of the relocations are written from their records.
fn contents(module: &Module) -> Item {
    let bytes = |section: &Section| match section.kind {
        SectionKind::Bss => Item::Absent,
        _ => Item::Bytes(section.bytes.clone()),
    };
    let relocations = has_relocations(module).then(|| Item::Bytes(Vec::new()));
    Item::List(module.sections.iter().map(bytes).chain(relocations).collect())
}

fn has_relocations(module: &Module) -> bool {
    !module.relocations.is_empty()
}

fn list(items: impl Iterator<Item = Result<Item, Failure>>) -> Result<Item, Failure> {
    Ok(Item::List(items.collect::<Result<_, _>>()?))
}

impl Builder<'_> {
    fn smf_header(&self, module: &Module, header: SmfHeader) -> Result<Item, Failure> {
        let mut flags = 0;
        for (name, set) in
            [("executable", module.entry.is_some()), ("reloadable", header.reloadable)]
        {
            flags |= if set { self.flag("HeaderFlags", name)? } else { 0 };
        }
        self.record(
            "Header",
            &[
                ("magic", self.constant("header", "magic")?),
                ("version_major", Item::Number(1)),
                ("version_minor", Item::Number(0)),
                ("platform", self.code("Platform", "linux")?), // whose objects and C convention these are
                ("arch", self.code("Architecture", "x86_64")?),
                ("flags", Item::Number(flags)),
                ("entry_point", Item::Number(module.entry.unwrap_or(0))),
                ("module_hash", Item::Number(0)),
                ("source_hash", Item::Number(header.source_hash)),
                ("reserved", Item::Bytes(vec![0; 8])),
            ],
        )
    }

    fn smf_sections(&self, module: &Module) -> Result<Item, Failure> {
        let loaded = module.sections.iter().map(|section| {
            let (kind, flags) = match section.kind {
                SectionKind::Code => ("code", &["read", "execute"][..]),
                SectionKind::RoData => ("rodata", &["read"][..]),
                SectionKind::Data => ("data", &["read", "write"][..]),
                SectionKind::Bss => ("bss", &["read", "write"][..]),
            };
            self.smf_section(kind, flags, section.name, section.virtual_size, section.align)
        });
        let relocations =
            has_relocations(module).then(|| self.smf_section("reloc", &["read"], ".rela", 0, 8));
        list(loaded.chain(relocations))
    }

    fn smf_section(
        &self,
        kind: &str,
        flags: &[&str],
        name: &str,
        virtual_size: u64,
        align: u64,
    ) -> Result<Item, Failure> {
        let flags = flags
            .iter()
            .try_fold(0, |all, flag| Ok::<_, Failure>(all | self.flag("SectionFlags", flag)?))?;
        let mut padded = name.as_bytes().to_vec();
        padded.resize(16, 0);
        self.record(
            "Section",
            &[
                ("type", self.code("SectionType", kind)?),
                ("flags", Item::Number(flags)),
                ("virtual_size", Item::Number(virtual_size)),
                ("alignment", Item::Number(align)),
                ("name", Item::Bytes(padded)),
            ],
        )
    }

    /// One list for each section that has bytes of its own, only the last of them with records.
    fn smf_relocations(&self, module: &Module) -> Result<Item, Failure> {
        let none = module.sections.iter().map(|_| Ok(Item::Absent));
        let records = has_relocations(module)
            .then(|| list(module.relocations.iter().map(|r| self.smf_relocation(r))));
        list(none.chain(records))
    }

    fn smf_relocation(&self, relocation: &Relocation) -> Result<Item, Failure> {
        let kind = match relocation.kind {
            RelocationKind::Abs64 => "abs64",
            RelocationKind::Pc32 => "pc32",
            RelocationKind::Plt32 => "plt32",
            RelocationKind::GotPcRel => "gotpcrel",
        };
        self.record(
            "Relocation",
            &[
                ("offset", Item::Number(relocation.offset)),
                ("symbol_index", Item::Number(relocation.symbol.into())),
                ("type", self.code("RelocationType", kind)?),
                ("addend", Item::Number(relocation.addend.cast_unsigned())),
            ],
        )
    }

    fn smf_symbol(&self, symbol: &Symbol) -> Result<Item, Failure> {
        let kind = match symbol.kind {
            SymbolKind::Function => "function",
            SymbolKind::Data => "data",
            SymbolKind::Constant => "constant",
        };
        let binding = match symbol.binding {
            Binding::Local => "local",
            Binding::Global => "global",
            Binding::Weak => "weak",
        };
        self.record(
            "Symbol",
            &[
                ("name_offset", Item::Name(symbol.name.clone())),
                ("type", self.code("SymbolType", kind)?),
                ("binding", self.code("Binding", binding)?),
                ("visibility", Item::Number(symbol.visibility.into())),
                ("flags", Item::Number(0)),
                ("padding", Item::Bytes(vec![0; 4])),
                ("value", Item::Number(symbol.value)),
                ("size", Item::Number(symbol.size)),
                ("type_id", Item::Number(0)),
                ("version", Item::Number(0)),
            ],
        )
    }
}
