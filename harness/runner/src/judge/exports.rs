//! Comparing what a loaded module exports with what it should.
//!
//! Lists are compared as sets of names with their addresses. Of several exports of one name the first is the
//! one that lookups find: it must be there, the others may.

use std::collections::HashMap;

use harness_protocol::linked::ExpectedExport;
use harness_protocol::{Export, Image};

use crate::text::cut;

/// The first difference in words. An address is compared where the images that it depends on are reported.
pub(super) fn difference(
    expected: &[ExpectedExport],
    reported: &[Export],
    images: &[Image],
) -> Option<String> {
    let base = |name: &str| images.iter().find(|image| image.name == name).map(|image| image.base);
    let mut wanted: HashMap<&str, Vec<Option<u64>>> = HashMap::new();
    for export in expected {
        wanted.entry(&export.name).or_default().push(export.address.evaluate(base));
    }
    let mut found: HashMap<&str, Vec<u64>> = HashMap::new();
    for export in reported {
        let Some(addresses) = wanted.get(export.name.as_str()) else {
            return Some(format!(
                "`{}` is exported, the module has no such export",
                cut(&export.name)
            ));
        };
        if !addresses.iter().any(|address| address.is_none_or(|wanted| wanted == export.address)) {
            return Some(elsewhere(&export.name, export.address, addresses));
        }
        found.entry(&export.name).or_default().push(export.address);
    }
    expected.iter().find_map(|export| {
        let Some(addresses) = found.get(export.name.as_str()) else {
            return Some(format!("export `{}` is missing", cut(&export.name)));
        };
        let first = (*wanted.get(export.name.as_str())?.first()?)?;
        let other = addresses.first().filter(|_| !addresses.contains(&first))?;
        Some(elsewhere(&export.name, *other, &[Some(first)]))
    })
}

fn elsewhere(name: &str, found: u64, wanted: &[Option<u64>]) -> String {
    let wanted = wanted.iter().flatten().next().copied().unwrap_or_default();
    format!("export `{}` is at {found:#x}, {wanted:#x} was expected", cut(name))
}

#[cfg(test)]
mod tests {
    use harness_protocol::linked::Sum;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same(&[("f", 0x1010), ("g", 0x1020), ("T", 7)], None)]
    #[case::in_any_order(&[("T", 7), ("g", 0x1020), ("f", 0x1010)], None)]
    #[case::all_of_one_name(&[("g", 0x1030), ("T", 7), ("g", 0x1020), ("f", 0x1010)], None)]
    #[case::the_first_of_a_name_counts(&[("g", 0x1030), ("T", 7), ("f", 0x1010)],
        Some("export `g` is at 0x1030, 0x1020 was expected"))]
    #[case::missing(&[("f", 0x1010), ("T", 7)], Some("export `g` is missing"))]
    #[case::nothing(&[], Some("export `f` is missing"))]
    #[case::one_too_many(&[("f", 0x1010), ("g", 0x1020), ("T", 7), ("puts", 0)],
        Some("`puts` is exported, the module has no such export"))]
    #[case::elsewhere(&[("f", 0x1011), ("g", 0x1020), ("T", 7)],
        Some("export `f` is at 0x1011, 0x1010 was expected"))]
    fn exports_are_compared(#[case] exports: &[(&str, u64)], #[case] cause: Option<&str>) {
        let export = |name: &str, address| ExpectedExport { name: name.into(), address };
        let expected = [
            export("f", Sum::in_image("code", 0x10)),
            export("g", Sum::in_image("code", 0x20)),
            export("g", Sum::in_image("code", 0x30)),
            export("T", Sum::number(7)),
        ];
        let reported: Vec<_> = exports
            .iter()
            .map(|(name, address)| Export { name: (*name).into(), address: *address })
            .collect();
        let images = [Image { name: "code".into(), base: 0x1000, size: 64, ..Image::default() }];
        assert_eq!(difference(&expected, &reported, &images).as_deref(), cause);
        // Without images only names and plain numbers can be compared.
        let by_name = difference(&expected, &reported, &[]);
        assert_eq!(by_name.is_some(), cause.is_some_and(|cause| !cause.contains(" is at ")));
    }
}
