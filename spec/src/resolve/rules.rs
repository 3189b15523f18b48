//! Rules and what they look at.

use super::paths::Scope;
use super::{Resolved, Resolver, hex_bytes};
use crate::format::{
    Check, Condition, Constant, Content, CountSource, Extent, FieldType, Meaning, Refers, Region,
    Rule, Target,
};
use crate::source::{self, Number, Stage};

impl Resolver<'_> {
    pub(super) fn resolve_rules(&self, regions: &[Region]) -> Resolved<Vec<Rule>> {
        let rules: Vec<Rule> = self
            .document
            .rules
            .iter()
            .map(|rule| self.rule(rule, regions))
            .collect::<Resolved<_>>()?;
        for (index, region) in regions.iter().enumerate() {
            let bounded = |rule: &Rule| {
                rule.active && matches!(rule.check, Check::Bounds { region } if region == index)
            };
            if can_run_out(region) && !rules.iter().any(bounded) {
                let message = format!(
                    "region `{}` can run past the end of the file: it needs a rule of kind `bounds`",
                    region.name
                );
                return Err(self.fail(&["regions", &region.name], &region.name, message));
            }
        }
        Ok(rules)
    }

    fn rule(&self, rule: &source::Rule, regions: &[Region]) -> Resolved<Rule> {
        let path = ["rules", rule.id.as_str()];
        self.clause_exists(&path, Some(&rule.clause))?;
        if let Some(choice) = &rule.choice {
            self.index_in(&path, "choice", &self.document.choices, choice)?;
        }
        let check = self.check(&path, &rule.check, regions)?;
        let filter = self.filter(&path, rule, &check)?;
        if matches!(check, Check::Bounds { .. }) && rule.stage != Stage::Malformed {
            return Err(self.fail(
                &path,
                "stage",
                "a bounds rule is of stage malformed: nothing after it decodes".into(),
            ));
        }
        Ok(Rule {
            id: rule.id.clone(),
            stage: rule.stage,
            also: rule.also.clone(),
            level: rule.level,
            gate: rule.gate || rule.stage == Stage::Malformed,
            active: rule.active,
            clause: rule.clause.clone(),
            choice: rule.choice.clone(),
            why: rule.why.clone(),
            kind: rule.check.kind(),
            filter,
            check,
        })
    }

    /// Which elements the rule looks at.
    fn filter(&self, path: &[&str], rule: &source::Rule, check: &Check) -> Resolved<Condition> {
        if rule.filter.0.is_empty() {
            return Ok(Condition::default());
        }
        let text = match &rule.check {
            source::Check::Fits { each, .. } | source::Check::Disjoint { each, .. } => each.clone(),
            _ => match check.target() {
                Some(target) if !matches!(check, Check::Implies { .. }) => self.text_of(target),
                _ => {
                    let message = format!("a rule of kind `{}` has no `where`", rule.check.kind());
                    return Err(self.fail(path, "where", message));
                }
            },
        };
        let (_, scope) = self.target(path, &text)?;
        self.condition(path, &rule.filter, &scope)
    }

    /// A target as it is written.
    fn text_of(&self, target: &Target) -> String {
        let mut text = self.document.regions[target.region].name.clone();
        let mut record = self.region_record(target.region);
        for &position in &target.path {
            let field =
                record.and_then(|r| self.records.get(r)).and_then(|r| r.fields.get(position));
            let Some(field) = field else { break };
            text += &format!(".{}", field.name);
            record = field.field_type.record();
        }
        text
    }

    fn check(&self, path: &[&str], check: &source::Check, regions: &[Region]) -> Resolved<Check> {
        use source::Check as S;
        let region = |name: &str| self.region_index(path, name);
        Ok(match check {
            S::Bounds { region: name } => Check::Bounds { region: region(name)? },
            S::Filled { region: name, with } => {
                Check::Filled { region: region(name)?, with: *with }
            }
            S::Ends { region: name } => Check::Ends { region: region(name)? },
            S::Utf8 { region: name } => self.utf8(path, region(name)?, regions)?,
            S::Separate { regions } => Check::Separate {
                regions: regions.iter().map(|name| region(name)).collect::<Resolved<_>>()?,
            },
            S::Mapping { image, never } => Check::Mapping {
                image: self.index_in(path, "image", &self.document.images, image)?,
                never: *never,
            },
            S::Fits { each, start, length, least, size } => {
                let (each, scope) = self.target(path, each)?;
                let operand = |number| self.operand(path, number, Some(&scope));
                let (start, length, size) = (operand(start)?, operand(length)?, operand(size)?);
                Check::Fits { start, length, least: *least, size, each }
            }
            S::ImageSize { images, max } => {
                let index = |name| self.index_in(path, "image", &self.document.images, name);
                let images = images.iter().map(|name| index(name)).collect::<Resolved<_>>()?;
                Check::ImageSize { images, max: *max }
            }
            S::Resolved { table } => Check::Resolved { region: self.linked(path, table)? },
            S::RelocationRange { table } => {
                Check::RelocationRange { region: self.linked(path, table)? }
            }
            S::Disjoint { each, start, length } => {
                let (each, scope) = self.target(path, each)?;
                let operand = |number| self.operand(path, number, Some(&scope));
                Check::Disjoint { start: operand(start)?, length: operand(length)?, each }
            }
            S::Implies { when, then } => {
                let side = |conditions: &indexmap::IndexMap<String, Vec<String>>| {
                    let sides =
                        conditions.iter().map(|(field, names)| self.side(path, field, names));
                    sides.collect::<Resolved<Vec<_>>>()
                };
                Check::Implies { when: side(when)?, then: side(then)? }
            }
            field_check => self.field_check(path, field_check)?,
        })
    }

    /// The region of the relocations that `linking` tells of.
    fn linked(&self, path: &[&str], table: &str) -> Resolved<usize> {
        let region = self.region_index(path, table)?;
        match &self.document.linking {
            Some(linking) if linking.relocations.table == table => Ok(region),
            _ => Err(self.fail(
                path,
                table,
                format!("`linking` does not say that `{table}` are relocations"),
            )),
        }
    }

    fn utf8(&self, path: &[&str], region: usize, regions: &[Region]) -> Resolved<Check> {
        match regions.get(region).map(|region| &region.content) {
            Some(Content::Strings { .. }) => Ok(Check::Utf8 { region }),
            _ => Err(self.fail(path, "region", "utf8 looks at a strings region".into())),
        }
    }

    fn side(&self, path: &[&str], field: &str, names: &[String]) -> Resolved<(Target, Vec<u64>)> {
        let (target, _) = self.target(path, field)?;
        let codes = self.codes(path, &target, names)?;
        Ok((target, codes))
    }

    /// The rules that look at one field.
    fn field_check(&self, path: &[&str], check: &source::Check) -> Resolved<Check> {
        use source::Check as S;
        let (S::Const { field, .. }
        | S::Range { field, .. }
        | S::InEnum { field }
        | S::Excludes { field, .. }
        | S::ReservedBits { field }
        | S::ClearBits { field, .. }
        | S::Within { field }
        | S::EntryStart { field }
        | S::Align { field, .. }
        | S::NeedsEntry { field, .. }
        | S::Unique { field }
        | S::PowerOfTwo { field }
        | S::NameLength { field, .. }
        | S::NameUtf8 { field }
        | S::RefersTo { field, .. }
        | S::HostPlatform { field, .. }
        | S::Derived { field }) = check
        else {
            return Err(self.fail(
                path,
                "kind",
                format!("`{}` does not look at a field", check.kind()),
            ));
        };
        let (target, scope) = self.target(path, field)?;
        let leaf = self.leaf(path, field, &target)?;
        match check {
            S::Const { value, .. } => self.constant(path, target, leaf, value),
            S::Range { min, max, .. } => self.range(path, target, &scope, [min, max]),
            S::Align { to, .. } => {
                Ok(Check::Align { to: self.operand(path, to, Some(&scope))?, target })
            }
            S::Excludes { values, .. } => {
                Ok(Check::Excludes { codes: self.codes(path, &target, values)?, target })
            }
            S::NeedsEntry { values, region, .. } => {
                let region = self.region_index(path, region)?;
                Ok(Check::NeedsEntry { codes: self.codes(path, &target, values)?, region, target })
            }
            S::ReservedBits { .. } => {
                let (defined, all) = self.bits(path, field, leaf)?;
                let defined = defined.iter().fold(0, |mask, (_, bit)| mask | (1_u64 << **bit));
                Ok(Check::ReservedBits { reserved: all & !defined, target })
            }
            S::ClearBits { bits, .. } => self.clear_bits(path, target, field, leaf, bits),
            S::HostPlatform { any, .. } => {
                Ok(Check::HostPlatform { any: self.codes(path, &target, any)?, target })
            }
            S::PowerOfTwo { .. } => Ok(Check::PowerOfTwo { target }),
            S::NameLength { .. } | S::NameUtf8 { .. } | S::RefersTo { .. } => {
                self.referring_check(path, field, check, target, leaf.refers)
            }
            _ => self.declared_check(path, field, check, target, leaf),
        }
    }

    /// The rules about what a field refers to.
    fn referring_check(
        &self,
        path: &[&str],
        text: &str,
        check: &source::Check,
        target: Target,
        refers: Option<Refers>,
    ) -> Resolved<Check> {
        use source::Check as S;
        match (check, refers) {
            (S::NameLength { max, .. }, Some(Refers::String(region))) => {
                Ok(Check::NameLength { target, region, max: *max })
            }
            (S::NameUtf8 { .. }, Some(Refers::String(region))) => {
                Ok(Check::NameUtf8 { target, region })
            }
            (S::RefersTo { is, .. }, Some(Refers::Index(region))) => {
                let (_, scope) = self.target(path, &self.document.regions[region].name)?;
                Ok(Check::RefersTo { is: self.condition(path, is, &scope)?, target, region })
            }
            _ => {
                let message =
                    format!("`{text}` does not refer to what `{}` looks at", check.kind());
                Err(self.fail(path, text, message))
            }
        }
    }

    /// The rules that say no more than that the field is what its declaration promises.
    fn declared_check(
        &self,
        path: &[&str],
        text: &str,
        check: &source::Check,
        target: Target,
        leaf: &crate::format::Field,
    ) -> Resolved<Check> {
        use source::Check as S;
        let fail = |message: &str| Err(self.fail(path, text, format!("`{text}` {message}")));
        let is_enum = leaf
            .field_type
            .scalar()
            .is_some_and(|scalar| matches!(scalar.meaning, Meaning::Enum(_)));
        match (check, leaf.refers) {
            (S::InEnum { .. }, _) if is_enum => Ok(Check::InEnum { target }),
            (S::InEnum { .. }, _) => fail("is not of an enum type"),
            (S::Within { .. }, Some(refers)) => Ok(Check::Within { target, refers }),
            (S::Within { .. }, None) => fail("does not say what it `refers` to"),
            (S::EntryStart { .. }, Some(Refers::String(region))) => {
                Ok(Check::EntryStart { target, region })
            }
            (S::EntryStart { .. }, _) => fail("does not refer to a string"),
            (S::Derived { .. }, _) if leaf.derive.is_none() => fail("has no `derive`"),
            (S::Derived { .. }, _) => Ok(Check::Derived { target }),
            (_, Some(Refers::String(region))) => {
                Ok(Check::Unique { text_in: Some(region), target })
            }
            _ => Ok(Check::Unique { text_in: None, target }),
        }
    }

    pub(super) fn leaf(
        &self,
        path: &[&str],
        text: &str,
        target: &Target,
    ) -> Resolved<&crate::format::Field> {
        let mut record = self.region_record(target.region);
        let mut leaf = None;
        for &position in &target.path {
            leaf = record.and_then(|r| self.records.get(r)).and_then(|r| r.fields.get(position));
            record = leaf.and_then(|field| field.field_type.record());
        }
        leaf.ok_or_else(|| self.fail(path, text, format!("`{text}` is a region, not a field")))
    }

    fn constant(
        &self,
        path: &[&str],
        target: Target,
        leaf: &crate::format::Field,
        value: &Number,
    ) -> Resolved<Check> {
        let value = match (value, &leaf.field_type) {
            (Number::Literal(value), FieldType::Scalar(_)) => Constant::Number(*value),
            (Number::Path(text), FieldType::Bytes(length)) => {
                let bytes =
                    hex_bytes(text).filter(|bytes| u64::try_from(bytes.len()) == Ok(*length));
                Constant::Bytes(bytes.ok_or_else(|| {
                    self.fail(path, text, format!("`{text}` is not {length} bytes in hexadecimal"))
                })?)
            }
            _ => {
                return Err(self.fail(
                    path,
                    "value",
                    "a constant is a number, or hexadecimal bytes for a bytes field".into(),
                ));
            }
        };
        Ok(Check::Const { target, value })
    }

    fn range(
        &self,
        path: &[&str],
        target: Target,
        scope: &Scope,
        ends: [&Option<Number>; 2],
    ) -> Resolved<Check> {
        let [min, max] =
            ends.map(|end| end.as_ref().map(|n| self.operand(path, n, Some(scope))).transpose());
        let (min, max) = (min?, max?);
        if min.is_none() && max.is_none() {
            return Err(self.fail(path, "kind", "a range has a min, a max or both".into()));
        }
        Ok(Check::Range { target, min, max })
    }

    fn clear_bits(
        &self,
        path: &[&str],
        target: Target,
        field: &str,
        leaf: &crate::format::Field,
        names: &[String],
    ) -> Resolved<Check> {
        let (defined, _) = self.bits(path, field, leaf)?;
        let mut mask = 0;
        for name in names {
            let bit = defined.iter().find(|(known, _)| *known == name);
            let Some((_, bit)) = bit else {
                return Err(self.unknown(
                    path,
                    "bit",
                    name,
                    defined.iter().map(|(known, _)| known.as_str()),
                ));
            };
            mask |= 1_u64 << **bit;
        }
        Ok(Check::ClearBits { target, mask })
    }

    /// The defined bits of a flags field, and the mask of all bits of its width.
    fn bits(
        &self,
        path: &[&str],
        field: &str,
        leaf: &crate::format::Field,
    ) -> Resolved<(Vec<(&String, &u32)>, u64)> {
        match leaf.field_type.scalar().map(|scalar| (scalar, scalar.meaning)) {
            Some((scalar, Meaning::Flags(index))) => {
                Ok((self.document.flags[index].bits.iter().collect(), scalar.max()))
            }
            _ => Err(self.fail(path, field, format!("`{field}` is not of a flag set type"))),
        }
    }

    /// The codes of enum values, by the enum of the field that `target` ends in.
    pub(super) fn codes(
        &self,
        path: &[&str],
        target: &Target,
        names: &[String],
    ) -> Resolved<Vec<u64>> {
        let text = "its field";
        let leaf = self.leaf(path, text, target)?;
        let Some(Meaning::Enum(index)) = leaf.field_type.scalar().map(|scalar| scalar.meaning)
        else {
            return Err(self.fail(
                path,
                &leaf.name,
                format!("`{}` is not of an enum type", leaf.name),
            ));
        };
        let values = &self.document.enums[index].values;
        let code = |name: &String| {
            values.get(name).map(|value| value.code).ok_or_else(|| {
                self.unknown(path, "enum value", name, values.keys().map(String::as_str))
            })
        };
        names.iter().map(code).collect()
    }
}

/// Whether decoding the region can fail for lack of bytes, or start where there are none.
fn can_run_out(region: &Region) -> bool {
    let takes_what_is_there = match &region.content {
        Content::Bytes(Extent::Until(_) | Extent::Rest) => true,
        Content::Array { count, .. } | Content::Strings { count, .. } => {
            matches!(count.source, CountSource::Rest)
        }
        Content::Inside { .. } => return false,
        _ => false,
    };
    !takes_what_is_there || region.at.is_some() || region.limit.is_some() || region.align > 1
}
