//! Symbols and relocations.

use super::{Resolved, Resolver};
use crate::format::{LinkedRelocations, LinkedSymbols, Linking, Refers};
use crate::source;

const PATH: [&str; 1] = ["linking"];

impl Resolver<'_> {
    pub(super) fn resolve_linking(&self) -> Resolved<Option<Linking>> {
        self.document.linking.as_ref().map(|linking| self.linking(linking)).transpose()
    }

    fn linking(&self, linking: &source::Linking) -> Resolved<Linking> {
        let symbols = self.linked_symbols(&linking.symbols)?;
        let relocations = self.linked_relocations(&linking.relocations, symbols.table)?;
        Ok(Linking { symbols, relocations })
    }

    fn linked_symbols(&self, symbols: &source::LinkedSymbols) -> Resolved<LinkedSymbols> {
        let (table, scope) = self.target(&PATH, &symbols.table)?;
        let field = |name: &str| self.number_field(&symbols.table, name);
        let (name, _) = self.target(&PATH, &format!("{}.{}", symbols.table, symbols.name))?;
        let Some(Refers::String(names)) = self.leaf(&PATH, &symbols.name, &name)?.refers else {
            let message = format!("`{}` does not refer to a string", symbols.name);
            return Err(self.fail(&PATH, &symbols.name, message));
        };
        let condition = |filter| self.condition(&PATH, filter, &scope);
        let images = symbols.images.iter().map(|(image, filter)| {
            let index = self.index_in(&PATH, "image", &self.document.images, image)?;
            Ok((index, condition(filter)?))
        });
        Ok(LinkedSymbols {
            table: table.region,
            name: name.path,
            names,
            value: field(&symbols.value)?,
            defined: condition(&symbols.defined)?,
            weak: symbols.weak.as_ref().map(condition).transpose()?,
            exported: condition(&symbols.exported)?,
            images: images.collect::<Resolved<_>>()?,
        })
    }

    fn linked_relocations(
        &self,
        relocations: &source::LinkedRelocations,
        symbols: usize,
    ) -> Resolved<LinkedRelocations> {
        let field = |name: &str| self.number_field(&relocations.table, name);
        let (table, _) = self.target(&PATH, &relocations.table)?;
        let text = format!("{}.{}", relocations.table, relocations.symbol);
        let (symbol, _) = self.target(&PATH, &text)?;
        if self.leaf(&PATH, &text, &symbol)?.refers != Some(Refers::Index(symbols)) {
            let message = format!("`{}` does not refer to a symbol", relocations.symbol);
            return Err(self.fail(&PATH, &relocations.symbol, message));
        }
        Ok(LinkedRelocations {
            table: table.region,
            image: self.index_in(&PATH, "image", &self.document.images, &relocations.image)?,
            place: field(&relocations.place)?,
            symbol: symbol.path,
            kind: field(&relocations.kind)?,
            addend: field(&relocations.addend)?,
        })
    }

    /// Way to an integer field from an element of a table.
    fn number_field(&self, table: &str, name: &str) -> Resolved<Vec<usize>> {
        let text = format!("{table}.{name}");
        let (target, _) = self.target(&PATH, &text)?;
        match self.leaf(&PATH, &text, &target)?.field_type.scalar() {
            Some(_) => Ok(target.path),
            None => Err(self.fail(&PATH, name, format!("`{text}` is not a number"))),
        }
    }
}
