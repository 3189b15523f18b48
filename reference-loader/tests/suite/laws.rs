//! What holds for every file.

use proptest::collection::vec;
use proptest::prelude::*;
use reference_loader::{Rule, model, parse, validate};

use crate::encode::{Function, Scp, Type, seal};
use crate::files::full;

/// Everything that reads, on bytes of any origin.
fn read_all(bytes: &[u8]) {
    if let Ok(file) = parse(bytes) {
        let _ = model(&file);
        assert_eq!(file.functions().count(), file.functions().len());
        assert_eq!(file.strings().iter().count(), file.strings().count() as usize);
    }
    if let Err(error) = validate(bytes) {
        let offset = error.offset().unwrap();
        assert!(offset <= bytes.len() as u64, "{error}");
    }
}

fn any_scp() -> impl Strategy<Value = Scp> {
    let function = (any::<u32>(), any::<u64>(), vec(any::<u8>(), 0..9), any::<u8>(), any::<u8>())
        .prop_map(|(name, entry, params, returns, flags)| Function {
            name,
            entry,
            params,
            returns,
            flags,
        });
    let structure = (any::<u16>(), any::<u32>(), any::<u32>(), vec(any::<(u32, u8)>(), 0..5))
        .prop_map(|(id, name, size, fields)| Type { id, name, size, fields });
    let tables = (
        vec(function, 0..6),
        vec(structure, 0..4),
        vec(any::<(u32, u32)>(), 0..4),
        vec(vec(1_u8.., 0..12), 0..8),
    );
    let header = (any::<u8>(), any::<u8>(), any::<u16>());
    (header, tables, vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..40)).prop_map(
        |(
            (architecture, convention, flags),
            (functions, types, dependencies, strings),
            slack,
            code,
        )| {
            Scp {
                architecture,
                convention,
                flags,
                functions,
                types,
                dependencies,
                strings,
                slack,
                code,
            }
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_judged(bytes in vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_start_are_judged(bytes in vec(any::<u8>(), 0..300)) {
        let mut file = b"SCP\0\0\0\x01\0".to_vec();
        file.extend(bytes);
        read_all(&file);
    }

    #[test]
    fn mutated_files_are_judged(
        edits in vec((0..157_usize, any::<u8>()), 1..6),
        cut in prop::option::of(0..157_usize),
        sealed in any::<bool>(),
    ) {
        let mut file = full().encode();
        for (at, byte) in edits {
            file[at] = byte;
        }
        if sealed {
            seal(&mut file);
        }
        file.truncate(cut.unwrap_or(file.len()));
        read_all(&file);
    }

    #[test]
    fn what_is_encoded_is_what_is_read(scp in any_scp()) {
        let bytes = scp.encode();
        let file = parse(&bytes).unwrap();
        prop_assert_eq!(file.header().architecture, scp.architecture);
        let functions: Vec<_> = file
            .functions()
            .map(|f| (f.name_offset, f.entry_offset, f.params.to_vec(), f.return_type, f.flags))
            .collect();
        let written: Vec<_> = scp
            .functions
            .iter()
            .map(|f| (f.name, f.entry, f.params.clone(), f.returns, f.flags))
            .collect();
        prop_assert_eq!(functions, written);
        let fields = |t: reference_loader::types::Type<'_>| {
            t.fields().map(|f| (f.offset, f.type_code)).collect::<Vec<_>>()
        };
        let types: Vec<_> =
            file.types().map(|t| (t.id, t.name_offset, t.size, fields(t))).collect();
        let written: Vec<_> =
            scp.types.iter().map(|t| (t.id, t.name, t.size, t.fields.clone())).collect();
        prop_assert_eq!(types, written);
        prop_assert!(file
            .dependencies()
            .map(|d| (d.name_offset, d.required_version))
            .eq(scp.dependencies.iter().copied()));
        prop_assert!(file.strings().iter().eq(scp.strings.iter().map(Vec::as_slice)));
        prop_assert_eq!((file.slack(), file.code()), (&*scp.slack, &*scp.code));
        prop_assert_ne!(file.validate().err().and_then(|e| e.rule()), Some(Rule::HeaderChecksum));
    }
}
