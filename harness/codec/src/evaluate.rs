//! Looks up operands and walks targets in a decoded file.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::cell::{Cell, OnceCell};

use blobspec::Format;
use blobspec::format::{Attribute, Condition, Content, FieldRef, Meaning, Operand, Target, Test};

use crate::model::{Model, Node, Value};

/// Where rules look.
pub(crate) struct Context<'a> {
    pub(crate) format: &'a Format,
    pub(crate) file: &'a [u8],
    pub(crate) model: &'a Model,
    /// Bytes of strings that were looked at one by one, see [`crate::Decoded::work`].
    work: Cell<u64>,
    /// Which elements the rule in hand looks at; `None`: all.
    filter: Cell<Option<&'a Condition>>,
    /// Bytes of each image, once somebody has asked.
    images: OnceCell<Vec<u64>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(format: &'a Format, file: &'a [u8], model: &'a Model) -> Self {
        let (work, filter, images) = (Cell::new(0), Cell::new(None), OnceCell::new());
        Self { format, file, model, work, filter, images }
    }

    /// From here on visits only elements of which `filter` holds.
    pub(crate) fn only(&self, filter: &'a Condition) {
        self.filter.set(Some(filter).filter(|filter| !filter.is_always()));
    }

    /// Whether `condition` holds of the element that `stack` leads to.
    pub(crate) fn holds(&self, condition: &Condition, stack: &[&'a Node]) -> bool {
        let passes = |(field, test): &(FieldRef, Test)| {
            self.field(field, stack).and_then(Node::number).is_some_and(|value| test.passes(value))
        };
        condition.is_always() || condition.alternatives.iter().any(|tests| tests.iter().all(passes))
    }

    /// Notes that `bytes` bytes are about to be looked at one by one.
    pub(crate) fn spend(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.work.set(self.work.get().saturating_add(bytes));
    }

    /// What was spent so far.
    pub(crate) fn spent(&self) -> u64 {
        self.work.get()
    }

    /// The number that `operand` names, with `stack` the records around the element; `None` when it has none
    /// (an attribute of an unknown code, a region that did not decode).
    pub(crate) fn operand(&self, operand: &Operand, stack: &[&'a Node]) -> Option<u64> {
        match operand {
            Operand::Literal(value) => Some(*value),
            Operand::FileSize => u64::try_from(self.file.len()).ok(),
            Operand::Field(field) => self.field(field, stack)?.number(),
            Operand::Attribute { field, attribute } => {
                match self.attribute(field, *attribute, stack)? {
                    Attribute::Number(operand) => self.operand(operand, stack),
                    Attribute::Bytes(_) => None,
                }
            }
            Operand::ImageSize(image) => {
                self.images.get_or_init(|| crate::image::sizes(self)).get(*image).copied()
            }
        }
    }

    /// The attribute of the enum value that a field holds.
    pub(crate) fn attribute(
        &self,
        field: &FieldRef,
        attribute: usize,
        stack: &[&'a Node],
    ) -> Option<&'a Attribute> {
        let code = self.field(field, stack)?.number()?;
        let Meaning::Enum(index) = self.meaning(field)? else { return None };
        self.format.enums.get(index)?.value(code)?.attributes.get(attribute)
    }

    fn field(&self, field: &FieldRef, stack: &[&'a Node]) -> Option<&'a Node> {
        match field {
            FieldRef::Region { region, path } => {
                path.iter().try_fold(&self.model.regions.get(*region)?.node, |node, field| {
                    node.children().get(*field)
                })
            }
            FieldRef::Enclosing { depth, field, inner, .. } => {
                let outer = stack.get(*depth)?.children().get(*field)?;
                inner.iter().try_fold(outer, |node, field| node.children().get(*field))
            }
        }
    }

    fn meaning(&self, field: &FieldRef) -> Option<Meaning> {
        Some(self.format.field_of(field)?.field_type.scalar()?.meaning)
    }

    /// Calls `visit` for every element that `target` looks at, in file order.
    pub(crate) fn visit(&self, target: &Target, mut visit: impl FnMut(&Element<'_, 'a>)) {
        let Some(region) = self.model.regions.get(target.region) else { return };
        let filter = self.filter.get();
        let mut visit = |element: &Element<'_, 'a>| {
            if filter.is_none_or(|filter| self.holds(filter, element.stack)) {
                visit(element);
            }
        };
        let mut walk = Walk { stack: Vec::new(), steps: Vec::new(), visit: &mut visit };
        match &region.node.value {
            Value::List(elements) => walk.list(elements, &target.path),
            _ => walk.descend(&region.node, &target.path),
        }
    }

    /// The elements of a region that has elements.
    pub(crate) fn elements(&self, region: usize) -> &'a [Node] {
        self.model.regions.get(region).map(|region| region.node.children()).unwrap_or_default()
    }

    /// The bytes of the string that an offset of value `value` refers to, without its NUL. Found through the
    /// entries: walking to the NUL would make many offsets into one long string cost its length each.
    pub(crate) fn string(&self, region: usize, value: u64) -> Option<&'a [u8]> {
        let content = &self.model.regions.get(region)?.node;
        let start = content.span.offset().checked_add(self.string_position(region, value)?)?;
        let entries = content.children();
        let entry = entries.get(entries.partition_point(|e| u64::from(e.span.end) <= start))?;
        let nul = entry.span.range().end.checked_sub(1)?;
        self.file.get(usize::try_from(start).ok()?..nul)
    }

    /// Offset into the content of a strings region that an offset of value `value` means.
    pub(crate) fn string_position(&self, region: usize, value: u64) -> Option<u64> {
        let node = self.model.regions.get(region)?;
        match self.format.regions.get(region).map(|region| &region.content) {
            Some(Content::Strings { from_prefix: true, .. }) => {
                let prefix = node.node.span.start.saturating_sub(node.span.start);
                value.checked_sub(u64::from(prefix))
            }
            _ => Some(value),
        }
    }
}

/// One element that a rule looks at.
pub(crate) struct Element<'s, 'a> {
    /// The records around it, outermost first; a record element is itself the last of them.
    pub(crate) stack: &'s [&'a Node],
    /// The element.
    pub(crate) node: &'a Node,
    /// Its steps, as in [`crate::Site`].
    pub(crate) steps: &'s [usize],
}

struct Walk<'v, 'a, V> {
    stack: Vec<&'a Node>,
    steps: Vec<usize>,
    visit: &'v mut V,
}

impl<'a, V: FnMut(&Element<'_, 'a>)> Walk<'_, 'a, V> {
    fn list(&mut self, elements: &'a [Node], path: &[usize]) {
        for (index, element) in elements.iter().enumerate() {
            self.steps.push(index);
            match &element.value {
                Value::List(inner) => self.list(inner, path),
                Value::Absent => {}
                _ => self.descend(element, path),
            }
            self.steps.pop();
        }
    }

    fn descend(&mut self, node: &'a Node, path: &[usize]) {
        let is_record = matches!(node.value, Value::Record(_));
        if is_record {
            self.stack.push(node);
        }
        match path.split_first() {
            None => (self.visit)(&Element { stack: &self.stack, node, steps: &self.steps }),
            Some((field, rest)) => {
                self.steps.push(*field);
                match node.children().get(*field) {
                    Some(Node { value: Value::List(elements), .. }) => self.list(elements, rest),
                    Some(child) => self.descend(child, rest),
                    None => {}
                }
                self.steps.pop();
            }
        }
        if is_record {
            self.stack.pop();
        }
    }
}
