//! Conditions: which elements something is said about.

use super::paths::Scope;
use super::{Resolved, Resolver};
use crate::format::{Condition, FieldRef, Meaning, Operand, Test};
use crate::source::{self, Number, Where};

impl Resolver<'_> {
    /// The condition that `filter` states of an element seen from `scope`.
    pub(super) fn condition(
        &self,
        path: &[&str],
        filter: &Where,
        scope: &Scope,
    ) -> Resolved<Condition> {
        let mut alternatives = Vec::with_capacity(filter.0.len());
        for tests in &filter.0 {
            let mut resolved = Vec::with_capacity(tests.len());
            for (field, test) in tests {
                let (field, meaning) = self.tested(path, field, scope)?;
                for test in self.tests(path, test, meaning)? {
                    resolved.push((field.clone(), test));
                }
            }
            alternatives.push(resolved);
        }
        Ok(Condition { alternatives })
    }

    fn tested(&self, path: &[&str], text: &str, scope: &Scope) -> Resolved<(FieldRef, Meaning)> {
        let operand = self.operand(path, &Number::Path(text.to_owned()), Some(scope))?;
        let Operand::Field(field) = operand else {
            return Err(self.fail(path, text, format!("`{text}` is not a field")));
        };
        let meaning = self.meaning(&field).unwrap_or(Meaning::Number);
        Ok((field, meaning))
    }

    fn meaning(&self, field: &FieldRef) -> Option<Meaning> {
        let (mut record, steps) = match field {
            FieldRef::Region { region, path } => (self.region_record(*region)?, path.clone()),
            FieldRef::Enclosing { record, field, inner, .. } => {
                (*record, std::iter::once(*field).chain(inner.iter().copied()).collect())
            }
        };
        let (last, outer) = steps.split_last()?;
        for step in outer {
            record = self.records.get(record)?.fields.get(*step)?.field_type.record()?;
        }
        Some(self.records.get(record)?.fields.get(*last)?.field_type.scalar()?.meaning)
    }

    fn tests(&self, path: &[&str], test: &source::Test, meaning: Meaning) -> Resolved<Vec<Test>> {
        let source::TestKeys { among, not, min, max, set, clear } = &test.0;
        let mut tests = Vec::new();
        if let Some(names) = among {
            tests.push(Test::In(self.codes_of(path, meaning, names)?));
        }
        if let Some(names) = not {
            tests.push(Test::NotIn(self.codes_of(path, meaning, names)?));
        }
        if min.is_some() || max.is_some() {
            tests.push(Test::Range(min.unwrap_or(0), max.unwrap_or(u64::MAX)));
        }
        if set.is_some() || clear.is_some() {
            let mask = |names: &Option<Vec<String>>| {
                self.mask(path, meaning, names.as_deref().unwrap_or_default())
            };
            tests.push(Test::Bits { set: mask(set)?, clear: mask(clear)? });
        }
        if tests.is_empty() {
            let message = "a test has one of in, not, min, max, set and clear";
            return Err(self.fail(path, "where", message.into()));
        }
        Ok(tests)
    }

    fn codes_of(&self, path: &[&str], meaning: Meaning, names: &[String]) -> Resolved<Vec<u64>> {
        let Meaning::Enum(index) = meaning else {
            let message = "only a field of an enum type is compared with names";
            return Err(self.fail(path, names.first().map_or("where", |n| n), message.into()));
        };
        let values = &self.document.enums[index].values;
        let code = |name: &String| {
            values.get(name).map(|value| value.code).ok_or_else(|| {
                self.unknown(path, "enum value", name, values.keys().map(String::as_str))
            })
        };
        names.iter().map(code).collect()
    }

    fn mask(&self, path: &[&str], meaning: Meaning, names: &[String]) -> Resolved<u64> {
        let Meaning::Flags(index) = meaning else {
            let message = "only a field of a flag set type has bits";
            return Err(self.fail(path, names.first().map_or("where", |n| n), message.into()));
        };
        let bits = &self.document.flags[index].bits;
        names.iter().try_fold(0, |mask, name| match bits.get(name) {
            Some(bit) => Ok(mask | 1_u64.checked_shl(*bit).unwrap_or(0)),
            None => Err(self.unknown(path, "bit", name, bits.keys().map(String::as_str))),
        })
    }
}
