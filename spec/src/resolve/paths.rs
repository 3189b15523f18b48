//! Paths: `header.code_blob_size`, `type_code.size`, `types.fields.type_code`.

use super::{Resolved, Resolver};
use crate::format::{FieldRef, FieldType, Meaning, Operand, Target};
use crate::source::Number;

/// Where a path stands: the records around the element that a rule looks at.
pub(super) struct Scope {
    region: usize,
    /// The record at each depth; 0 is the region's element.
    records: Vec<usize>,
    /// The array fields that were entered on the way.
    entered: Vec<usize>,
}

impl Resolver<'_> {
    /// The record that a region is or consists of.
    pub(super) fn region_record(&self, region: usize) -> Option<usize> {
        let region = self.document.regions.get(region)?;
        let name = region.record.as_ref().or(region.array.as_ref())?;
        self.document.records.get_index_of(name)
    }

    fn field_position(&self, record: usize, name: &str) -> Option<usize> {
        self.records.get(record)?.fields.iter().position(|field| field.name == name)
    }

    fn field_names(&self, record: usize) -> impl Iterator<Item = &str> {
        self.records
            .get(record)
            .into_iter()
            .flat_map(|record| record.fields.iter().map(|field| field.name.as_str()))
    }

    /// The number that `number` names, seen from `scope`.
    pub(super) fn operand(
        &self,
        path: &[&str],
        number: &Number,
        scope: Option<&Scope>,
    ) -> Resolved<Operand> {
        let text = match number {
            Number::Literal(value) => return Ok(Operand::Literal(*value)),
            Number::Path(text) if text == "file.size" => return Ok(Operand::FileSize),
            Number::Path(text) => text,
        };
        if let Some(image) = text.strip_prefix("images.") {
            let index = self.index_in(path, "image", &self.document.images, image)?;
            return Ok(Operand::ImageSize(index));
        }
        let steps: Vec<&str> = text.split('.').collect();
        if let Some(found) = scope.and_then(|scope| self.enclosing(&steps, scope)) {
            return Ok(found);
        }
        if let (Some(scope), [name]) = (scope, steps.as_slice())
            && self.document.regions.iter().all(|region| region.name != *name)
        {
            // One word is a field of the element: say which ones it has.
            let fields = scope.records.iter().flat_map(|record| self.field_names(*record));
            return Err(self.unknown(path, "field", name, fields));
        }
        let first = steps.first().copied().unwrap_or_default();
        let region = self.region_index(path, first)?;
        let Some(record) =
            self.document.regions[region].record.as_ref().and(self.region_record(region))
        else {
            let message = format!(
                "`{text}`: region `{first}` is not one record, so its fields have no single value"
            );
            return Err(self.fail(path, text, message));
        };
        self.region_path(path, text, region, record, &steps[1..])
    }

    fn region_path(
        &self,
        path: &[&str],
        text: &str,
        region: usize,
        record: usize,
        steps: &[&str],
    ) -> Resolved<Operand> {
        let (mut record, mut fields) = (record, Vec::new());
        for (i, step) in steps.iter().enumerate() {
            let Some(position) = self.field_position(record, step) else {
                return Err(self.unknown(path, "field", step, self.field_names(record)));
            };
            fields.push(position);
            let rest = &steps[i + 1..];
            match (&self.records[record].fields[position].field_type, rest) {
                (FieldType::Scalar(_), []) => {
                    return Ok(Operand::Field(FieldRef::Region { region, path: fields }));
                }
                (FieldType::Scalar(scalar), [attribute]) => {
                    let field = FieldRef::Region { region, path: fields };
                    return self.enum_attribute(path, scalar.meaning, attribute, field);
                }
                (FieldType::Record(inner), [_, ..]) => record = *inner,
                _ => break,
            }
        }
        Err(self.fail(path, text, format!("`{text}` is not a number")))
    }

    fn enum_attribute(
        &self,
        path: &[&str],
        meaning: Meaning,
        attribute: &str,
        field: FieldRef,
    ) -> Resolved<Operand> {
        let Meaning::Enum(index) = meaning else {
            return Err(self.fail(
                path,
                attribute,
                format!("`.{attribute}`: only an enum's values have attributes"),
            ));
        };
        let position = self.attribute_position(index, attribute);
        let names = self.document.enums[index].values.values().next();
        position.map(|attribute| Operand::Attribute { field, attribute }).ok_or_else(|| {
            let known =
                names.into_iter().flat_map(|value| value.attributes.keys().map(String::as_str));
            self.unknown(path, "attribute", attribute, known)
        })
    }

    fn attribute_position(&self, index: usize, attribute: &str) -> Option<usize> {
        self.document
            .enums
            .get_index(index)?
            .1
            .values
            .values()
            .next()?
            .attributes
            .get_index_of(attribute)
    }

    /// A path that means a field of one of the records around the element: relative, or absolute along the
    /// way that led to the element.
    fn enclosing(&self, steps: &[&str], scope: &Scope) -> Option<Operand> {
        let region = self.document.regions.get(scope.region)?;
        if steps.first() == Some(&region.name.as_str()) && region.array.is_some() {
            return self.along(&steps[1..], scope);
        }
        let (name, rest) = steps.split_first()?;
        (0..scope.records.len()).rev().find_map(|depth| self.field_at(scope, depth, name, rest))
    }

    fn along(&self, steps: &[&str], scope: &Scope) -> Option<Operand> {
        let mut steps = steps;
        for depth in 0..scope.records.len() {
            let (name, rest) = steps.split_first()?;
            let position = self.field_position(*scope.records.get(depth)?, name)?;
            if scope.entered.get(depth) == Some(&position) && !rest.is_empty() {
                steps = rest;
            } else {
                return self.field_at(scope, depth, name, rest);
            }
        }
        None
    }

    fn field_at(&self, scope: &Scope, depth: usize, name: &str, rest: &[&str]) -> Option<Operand> {
        let record = *scope.records.get(depth)?;
        let position = self.field_position(record, name)?;
        let mut leaf = self.records.get(record)?.fields.get(position)?;
        let (mut inner, mut rest) = (Vec::new(), rest);
        while let (FieldType::Record(nested), [step, further @ ..]) = (&leaf.field_type, rest) {
            let position = self.field_position(*nested, step)?;
            leaf = self.records.get(*nested)?.fields.get(position)?;
            inner.push(position);
            rest = further;
        }
        let FieldType::Scalar(scalar) = leaf.field_type else { return None };
        let field = FieldRef::Enclosing { depth, record, field: position, inner };
        match (rest, scalar.meaning) {
            ([], _) => Some(Operand::Field(field)),
            ([attribute], Meaning::Enum(index)) => Some(Operand::Attribute {
                field,
                attribute: self.attribute_position(index, attribute)?,
            }),
            _ => None,
        }
    }

    /// What a rule of the definition at `path` looks at.
    pub(super) fn target(&self, path: &[&str], text: &str) -> Resolved<(Target, Scope)> {
        let mut steps = text.split('.');
        let region = self.region_index(path, steps.next().unwrap_or_default())?;
        let Some(first) = self.region_record(region) else {
            return Err(self.fail(path, text, format!("`{text}`: that region has no fields")));
        };
        let mut scope = Scope { region, records: vec![first], entered: Vec::new() };
        let mut target = Target { region, path: Vec::new() };
        let mut record = Some(first);
        for step in steps {
            let Some(current) = record else {
                return Err(self.fail(
                    path,
                    text,
                    format!("`{text}`: `{step}` is looked for in something without fields"),
                ));
            };
            let Some(position) = self.field_position(current, step) else {
                return Err(self.unknown(path, "field", step, self.field_names(current)));
            };
            target.path.push(position);
            record = self.records[current].fields[position].field_type.record();
            if let Some(inner) = record {
                scope.records.push(inner);
                scope.entered.push(position);
            }
        }
        Ok((target, scope))
    }
}
