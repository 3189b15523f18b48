//! Images.

use super::{Resolved, Resolver};
use crate::format::{Image, ImageSource, Sections};
use crate::source::{self, Test, TestKeys, Where};

const PERMISSIONS: [&str; 3] = ["r", "rw", "rx"];

impl Resolver<'_> {
    pub(super) fn resolve_images(&self) -> Resolved<Vec<Image>> {
        self.document.images.iter().map(|(name, image)| self.image(name, image)).collect()
    }

    fn image(&self, name: &str, image: &source::Image) -> Resolved<Image> {
        let path = ["images", name];
        let source = match (&image.region, &image.sections) {
            (Some(region), None) => ImageSource::Region(self.region_index(&path, region)?),
            (None, Some(sections)) => ImageSource::Sections(self.sections(&path, sections)?),
            _ => {
                let message = "an image comes from either a region or sections";
                return Err(self.fail(&path, name, message.into()));
            }
        };
        for permissions in
            image.sections.iter().flat_map(|s| s.permissions.values()).chain([&image.permissions])
        {
            if !PERMISSIONS.contains(&permissions.as_str()) {
                return Err(self.unknown(&path, "permissions", permissions, PERMISSIONS));
            }
        }
        Ok(Image { name: name.to_owned(), source, permissions: image.permissions.clone() })
    }

    fn sections(&self, path: &[&str], sections: &source::ImageSections) -> Resolved<Sections> {
        let (table, scope) = self.target(path, &sections.table)?;
        let field = |name: &Option<String>| {
            let name = name.as_ref().map(|name| format!("{}.{name}", sections.table));
            name.map(|name| self.target(path, &name).map(|(target, _)| target.path)).transpose()
        };
        let contents = self.region_index(path, &sections.contents)?;
        let placed = self.document.regions[contents].payloads.as_ref();
        if placed.is_none_or(|placed| placed.table != sections.table) {
            let message =
                format!("`{}` has no payloads of `{}`", sections.contents, sections.table);
            return Err(self.fail(path, &sections.contents, message));
        }
        let selector = match sections.filter.0.as_slice() {
            [tests] if tests.len() == 1 => tests.keys().next(),
            _ => None,
        };
        let Some(selector) = selector else {
            let message = "the sections of an image are told by one field";
            return Err(self.fail(path, "where", message.into()));
        };
        let exceptions = sections.permissions.iter().map(|(value, permissions)| {
            let keys = TestKeys { among: Some(vec![value.clone()]), ..TestKeys::default() };
            let tests = std::iter::once((selector.clone(), Test(keys))).collect();
            let condition = self.condition(path, &Where(vec![tests]), &scope)?;
            Ok((condition, permissions.clone()))
        });
        Ok(Sections {
            table: table.region,
            filter: self.condition(path, &sections.filter, &scope)?,
            contents,
            virtual_size: field(&sections.virtual_size)?,
            align: field(&sections.align)?,
            exceptions: exceptions.collect::<Resolved<_>>()?,
        })
    }
}
