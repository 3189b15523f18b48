//! Regions and relocations.

use super::{Resolved, Resolver};
use crate::format::{
    Content, Count, CountSource, Extent, FieldRef, Operand, Payloads, Region, Relocation, Stub,
    Trailer,
};
use crate::formula::Formula;
use crate::limits::MAX_FIXED_LENGTH;
use crate::source::{self, Number, Width};

impl Resolver<'_> {
    pub(super) fn resolve_regions(&self) -> Resolved<Vec<Region>> {
        let regions: Vec<Region> = self
            .document
            .regions
            .iter()
            .map(|region| self.region(region))
            .collect::<Resolved<_>>()?;
        for (index, region) in regions.iter().enumerate() {
            self.looks_back(index, region)?;
        }
        Ok(regions)
    }

    fn region(&self, region: &source::Region) -> Resolved<Region> {
        let path = ["regions", region.name.as_str()];
        self.clause_exists(&path, region.clause.as_deref())?;
        let number = |number: &Option<Number>| {
            number.as_ref().map(|number| self.operand(&path, number, None)).transpose()
        };
        let align = region.align.unwrap_or(1);
        if !(1..=MAX_FIXED_LENGTH).contains(&align) {
            let message = format!("`align` is between 1 and {MAX_FIXED_LENGTH} bytes");
            return Err(self.fail(&path, "align", message));
        }
        Ok(Region {
            name: region.name.clone(),
            doc: region.doc.clone(),
            content: self.content(&path, region)?,
            at: number(&region.at)?,
            align,
            trailer: region.trailer.as_ref().map(|t| self.trailer(&path, t)).transpose()?,
            limit: number(&region.limit)?,
            stub: region.stub.as_ref().map(|stub| self.stub(&path, stub)).transpose()?,
            clause: region.clause.clone(),
        })
    }

    fn content(&self, path: &[&str], region: &source::Region) -> Resolved<Content> {
        let source::Region { record, array, strings, bytes, stream, payloads, count, .. } = region;
        let given = [
            record.is_some(),
            array.is_some(),
            strings.is_some(),
            bytes.is_some(),
            stream.is_some(),
            payloads.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let message =
                "a region is exactly one of record, array, strings, bytes, stream and payloads";
            return Err(self.fail(path, &region.name, message.into()));
        }
        if count.is_some() && array.is_none() && strings.is_none() {
            let message = "only array and strings regions have a `count`";
            return Err(self.fail(path, "count", message.into()));
        }
        if region.inside.is_some() && (array.is_none() || count.is_some() || region.at.is_some()) {
            let message = "only an array without `count` and `at` lies `inside` payloads";
            return Err(self.fail(path, "inside", message.into()));
        }
        if let Some(payloads) = payloads {
            return Ok(Content::Payloads(self.payloads(path, payloads)?));
        }
        if let Some(name) = record {
            return Ok(Content::Record(self.index_in(
                path,
                "record",
                &self.document.records,
                name,
            )?));
        }
        if let Some(name) = array {
            let record = self.index_in(path, "record", &self.document.records, name)?;
            if let Some(inside) = &region.inside {
                return self.inside(path, record, inside);
            }
            return Ok(Content::Array { record, count: self.count(path, count.as_ref())? });
        }
        if let Some(strings) = strings {
            let count = self.count(path, count.as_ref())?;
            return Ok(Content::Strings { count, from_prefix: self.string_base(path, strings)? });
        }
        if let Some(stream) = stream {
            let tables = &self.document.opcodes;
            let opcodes = self.index_in(path, "opcode table", tables, &stream.opcodes)?;
            return Ok(Content::Stream { opcodes, extent: self.extent(path, &stream.extent)? });
        }
        Ok(Content::Bytes(self.extent(path, &bytes.clone().unwrap_or_default())?))
    }

    fn payloads(&self, path: &[&str], payloads: &source::Payloads) -> Resolved<Payloads> {
        let field = |name: &str| self.target(path, &format!("{}.{name}", payloads.table));
        let (table, scope) = self.target(path, &payloads.table)?;
        if self.document.regions[table.region].array.is_none() {
            let message = format!("`{}` is not an array, so it is no table", payloads.table);
            return Err(self.fail(path, &payloads.table, message));
        }
        Ok(Payloads {
            table: table.region,
            offset: field(&payloads.offset)?.0.path,
            size: field(&payloads.size)?.0.path,
            filter: self.condition(path, &payloads.filter, &scope)?,
        })
    }

    fn inside(&self, path: &[&str], record: usize, inside: &source::Inside) -> Resolved<Content> {
        let payloads = self.region_index(path, &inside.payloads)?;
        let Some(placed) = &self.document.regions[payloads].payloads else {
            let message = format!("region `{}` has no payloads", inside.payloads);
            return Err(self.fail(path, &inside.payloads, message));
        };
        let (_, scope) = self.target(path, &placed.table)?;
        let filter = self.condition(path, &inside.filter, &scope)?;
        Ok(Content::Inside { record, payloads, filter })
    }

    fn trailer(&self, path: &[&str], trailer: &source::Trailer) -> Resolved<Trailer> {
        let text = &trailer.starts_with;
        let starts_with = super::hex_bytes(text).ok_or_else(|| {
            self.fail(path, text, format!("`{text}` is not bytes in hexadecimal"))
        })?;
        Ok(Trailer { size: trailer.size, starts_with })
    }

    /// Decoding goes from region to region, so what says where a region lies must stand in an earlier one.
    fn looks_back(&self, index: usize, region: &Region) -> Resolved<()> {
        let extent = match &region.content {
            Content::Bytes(extent) | Content::Stream { extent, .. } => extent.operand(),
            Content::Array { count, .. } | Content::Strings { count, .. } => count.operand(),
            Content::Record(_) | Content::Payloads(_) | Content::Inside { .. } => None,
        };
        let earlier = match &region.content {
            Content::Payloads(payloads) => Some(payloads.table),
            Content::Inside { payloads, .. } => Some(*payloads),
            _ => None,
        };
        if let Some(other) = earlier.filter(|other| *other >= index) {
            let other = &self.document.regions[other].name;
            let message = format!("list `{other}`, where region `{}` lies, before it", region.name);
            return Err(self.fail(&["regions", &region.name], other, message));
        }
        for operand in region.at.iter().chain(&region.limit).chain(extent) {
            if let Operand::Field(FieldRef::Region { region: other, .. })
            | Operand::Attribute { field: FieldRef::Region { region: other, .. }, .. } = operand
                && *other >= index
            {
                let other = &self.document.regions[*other].name;
                let message = format!(
                    "region `{}` is placed by a field of `{other}`, which is decoded later: list `{other}` before it",
                    region.name
                );
                return Err(self.fail(&["regions", &region.name], other, message));
            }
        }
        Ok(())
    }

    fn string_base(&self, path: &[&str], strings: &source::Strings) -> Resolved<bool> {
        match strings.base.as_deref() {
            None | Some("content") => Ok(false),
            Some("count") => Ok(true),
            Some(other) => Err(self.unknown(path, "base", other, ["content", "count"])),
        }
    }

    fn count(&self, path: &[&str], count: Option<&source::Count>) -> Resolved<Count> {
        let Some(count) = count else {
            return Ok(Count { source: CountSource::Rest, bytes: false });
        };
        let source = match (&count.prefix, &count.field) {
            (Some(repr), None) => CountSource::Prefix(self.repr(path, repr)?),
            (None, Some(number)) => CountSource::Operand(self.operand(path, number, None)?),
            (None, None) => CountSource::Rest,
            _ => {
                return Err(self.fail(
                    path,
                    "count",
                    "a count is either a prefix or a field".into(),
                ));
            }
        };
        match count.unit.as_deref() {
            None | Some("elements") => Ok(Count { source, bytes: false }),
            Some("bytes") => Ok(Count { source, bytes: true }),
            Some(other) => Err(self.unknown(path, "unit", other, ["elements", "bytes"])),
        }
    }

    fn extent(&self, path: &[&str], extent: &source::Extent) -> Resolved<Extent> {
        match (&extent.size, &extent.until) {
            (Some(size), None) => Ok(Extent::Size(self.operand(path, size, None)?)),
            (None, Some(until)) => Ok(Extent::Until(self.operand(path, until, None)?)),
            (None, None) => Ok(Extent::Rest),
            _ => Err(self.fail(path, "size", "an extent has at most one of size and until".into())),
        }
    }

    fn stub(&self, path: &[&str], stub: &Number) -> Resolved<Stub> {
        if let Number::Path(text) = stub
            && !text.contains('.')
            && let Some(bytes) = super::hex_bytes(text)
        {
            return Ok(Stub::Bytes(bytes));
        }
        match self.operand(path, stub, None)? {
            Operand::Attribute { field, attribute } => Ok(Stub::Attribute { field, attribute }),
            _ => Err(self.fail(
                path,
                "stub",
                "a stub is hexadecimal bytes or an attribute of an enum field".into(),
            )),
        }
    }

    pub(super) fn resolve_relocations(&self) -> Resolved<Vec<Relocation>> {
        self.document
            .relocations
            .iter()
            .map(|(name, relocation)| self.relocation(name, relocation))
            .collect()
    }

    fn relocation(&self, name: &str, relocation: &source::Relocation) -> Resolved<Relocation> {
        let path = ["relocations", name];
        self.clause_exists(&path, relocation.clause.as_deref())?;
        let width = match &relocation.width {
            Width::Bytes(width @ (0 | 1 | 2 | 4 | 8)) => Some(*width),
            Width::Named(name) if name == "pointer" => None,
            _ => {
                return Err(self.fail(
                    &path,
                    "width",
                    "a width is 0, 1, 2, 4, 8 or `pointer`".into(),
                ));
            }
        };
        let calc = Formula::parse(&relocation.calc)
            .map_err(|message| self.fail(&path, "calc", message))?;
        let integers = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"];
        if let Some(fits) = relocation.fits.as_deref().filter(|fits| !integers.contains(fits)) {
            return Err(self.unknown(&path, "integer type", fits, integers));
        }
        Ok(Relocation {
            name: name.to_owned(),
            code: relocation.code,
            place: relocation.place.clone(),
            width,
            calc,
            fits: relocation.fits.clone(),
            stub: relocation.stub,
            optional: relocation.optional,
            architectures: relocation.architectures.clone(),
            clause: relocation.clause.clone(),
        })
    }
}
