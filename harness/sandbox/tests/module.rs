//! What `module::load` puts into memory is what the frozen vectors say, and it refuses what they say is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use blobspec::Format;
use harness_protocol::linked::{ExpectedImage, Way};
use harness_protocol::{Stage, Vector, VectorFile, Want};
use harness_sandbox::limits::{MAX_IMAGE, PAGE};
use harness_sandbox::module::{self, Module, ModuleError, load};
use harness_sandbox::{Architecture, Convention, Permissions, Segment};

/// Where modules are loaded: below 4 GiB and far above.
const BASES: [u64; 2] = [0x40_0000, 0x2001_2345_6000];

fn format(name: &str) -> Format {
    blobspec::builtin(name).unwrap().unwrap().format().clone()
}

fn vectors(format: &str) -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance").join(format);
    let mut vectors = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        let file: VectorFile = serde_json::from_slice(&text).unwrap();
        vectors.extend(file.vectors);
    }
    vectors
}

fn load_at(vector: &Vector, format: &Format, base: u64) -> Result<Module, ModuleError> {
    load(format, &vector.bytes.0, base, &vector.imports)
}

/// Two bases: far apart, unless a distance to an address of the host must fit into 32 bits.
fn near(vector: &Vector) -> [u64; 2] {
    let mut patches = vector.expect.images.iter().flat_map(|image| &image.patches);
    let to_host = patches.any(|patch| patch.width == 4 && patch.symbol.plus.is_empty());
    let first = vector.base_address.unwrap_or(BASES[0]);
    if to_host { [first, first + 0x10_0000] } else { BASES }
}

/// Whether its images have more bytes than are run here.
fn is_large(vector: &Vector) -> bool {
    vector.expect.images.iter().map(|image| image.size).sum::<u64>() > MAX_IMAGE
}

/// The bases by image: those of the segments that bear its name.
fn bases(module: &Module) -> BTreeMap<&str, u64> {
    let segments = &module.program.segments;
    segments
        .iter()
        .filter(|s| !s.name.contains('.'))
        .map(|s| (s.name.as_str(), s.address))
        .collect()
}

fn read(module: &Module, address: u64, width: usize) -> Option<Vec<u8>> {
    let end = address + u64::try_from(width).unwrap();
    let holds = |s: &&Segment| s.address <= address && end <= s.address + s.size;
    let segment = module.program.segments.iter().find(holds)?;
    let start = usize::try_from(address - segment.address).unwrap();
    let mut bytes = segment.bytes.clone();
    bytes.resize(bytes.len().max(start + width), 0);
    Some(bytes[start..start + width].to_vec())
}

fn number(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

fn signed_32(bytes: &[u8]) -> u64 {
    i64::from(u32::try_from(number(bytes)).unwrap().cast_signed()).cast_unsigned()
}

/// Where the stub at `address` jumps to, by the one form that each processor's stubs have.
fn jumps_to(module: &Module, address: u64) -> Option<u64> {
    let code = read(module, address, 8)?;
    let jump: &[u8] = match module.program.architecture {
        Architecture::X86_64 => &[0xff, 0x25, 2, 0, 0, 0],
        Architecture::Arm64 => &[0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6],
        Architecture::X86_32 => return None,
    };
    let segment = module.program.segments.iter().find(|segment| segment.name == "stubs")?;
    let executable = segment.permissions == Permissions::Rx;
    (executable && code.starts_with(jump)).then(|| number(&read(module, address + 8, 8).unwrap()))
}

/// What is not as the vector says of one image.
fn wrong(module: &Module, image: &ExpectedImage) -> Vec<String> {
    let bases = bases(module);
    let Some(base) = bases.get(image.name.as_str()).copied() else {
        return if image.size == 0 { vec![] } else { vec![format!("no image {}", image.name)] };
    };
    let mut wrong = Vec::new();
    let size = usize::try_from(image.size).unwrap();
    let mut expected = vec![0; size];
    for piece in &image.pieces {
        let at = usize::try_from(piece.at).unwrap();
        expected[at..at + piece.bytes.0.len()].copy_from_slice(&piece.bytes.0);
    }
    let evaluate = |sum: &harness_protocol::linked::Sum| {
        sum.evaluate(|name| bases.get(name).copied()).unwrap_or(0)
    };
    for patch in &image.patches {
        let (at, width) = (usize::try_from(patch.at).unwrap(), usize::from(patch.width));
        let (symbol, rest) = (evaluate(&patch.symbol), evaluate(&patch.rest));
        let value = match patch.way {
            Way::Direct => symbol.wrapping_add(rest),
            Way::Stub => {
                let found = signed_32(&read(module, base + patch.at, width).unwrap());
                let reached = found.wrapping_sub(rest);
                if reached != symbol && jumps_to(module, reached) != Some(symbol) {
                    wrong.push(format!("{}+{:#x}: no stub at {reached:#x}", image.name, patch.at));
                }
                found
            }
            Way::Slot => {
                let found = signed_32(&read(module, base + patch.at, width).unwrap());
                let slot = found.wrapping_sub(rest);
                if read(module, slot, 8).map(|bytes| number(&bytes)) != Some(symbol) {
                    wrong.push(format!("{}+{:#x}: no slot at {slot:#x}", image.name, patch.at));
                }
                found
            }
        };
        expected[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
    let own = |s: &&Segment| s.name.split('.').next() == Some(image.name.as_str());
    let segments: Vec<&Segment> = module.program.segments.iter().filter(own).collect();
    let mut found = vec![0; size];
    for segment in &segments {
        let at = usize::try_from(segment.address - base).unwrap();
        found[at..at + segment.bytes.len()].copy_from_slice(&segment.bytes);
    }
    if found != expected {
        let first = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        wrong.push(format!("{}: other bytes from {first:?}", image.name));
    }
    for (page, permissions) in pages(image) {
        let page = base + page;
        let holds =
            |s: &&&Segment| s.address <= page && page < s.address + s.size.next_multiple_of(PAGE);
        let found = segments.iter().find(holds).map(|segment| segment.permissions.name());
        // Pages between two segments hold padding only; it is not mapped here.
        if found.is_some_and(|found| found != permissions) {
            wrong.push(format!("{page:#x}: {found:?} instead of {permissions}"));
        }
    }
    wrong
}

/// The pages of an image with their permissions.
fn pages(image: &ExpectedImage) -> Vec<(u64, String)> {
    let pages = (0..image.size).step_by(usize::try_from(PAGE).unwrap());
    let permissions = |page: u64| {
        let segment = image.segments.iter().rfind(|segment| segment.at <= page);
        segment.map(|segment| segment.permissions.clone())
    };
    pages.filter_map(|page| Some((page, permissions(page)?))).collect()
}

#[test]
fn memory_is_what_the_vectors_say_at_both_bases() {
    let format = format("smf");
    let mut compared = 0;
    for vector in vectors("smf").iter().filter(|vector| !vector.expect.images.is_empty()) {
        for base in near(vector) {
            let module = match load_at(vector, &format, base) {
                Ok(module) => module,
                Err(ModuleError::Unsupported(_)) if is_large(vector) => continue,
                Err(error) => panic!("{} at {base:#x}: {error}", vector.id),
            };
            let wrong: Vec<String> =
                vector.expect.images.iter().flat_map(|image| wrong(&module, image)).collect();
            assert!(wrong.is_empty(), "{} at {base:#x}: {wrong:?}", vector.id);
            compared += vector.expect.images.iter().filter(|image| image.size > 0).count();
        }
    }
    assert!(compared >= 1000, "only {compared} images were compared");
}

#[test]
fn every_vector_is_loaded_or_refused_as_it_says() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for name in ["scp", "smf"] {
        let format = format(name);
        for vector in vectors(name).iter().filter(|vector| vector.want != Want::Scenario) {
            let loaded = load_at(vector, &format, vector.base_address.unwrap_or(BASES[0]));
            let expected = vector.expect.stages[0];
            let as_said = match &loaded {
                Ok(_) => vector.expect.accepts() || foreign(vector),
                Err(ModuleError::Rejected { rule, offset, .. }) => {
                    !vector.expect.accepts()
                        && vector.expect.rule.as_ref().is_none_or(|expected| expected == rule)
                        && vector.expect.offset.is_none_or(|expected| expected == *offset)
                }
                Err(ModuleError::Unresolvable { offset, .. }) => {
                    vector.expect.stages.contains(&Stage::Unresolvable)
                        && vector.expect.offset.is_none_or(|expected| expected == *offset)
                }
                Err(ModuleError::Unsupported(why)) => {
                    (is_large(vector) || vector.id.contains("/image-size/"))
                        && why.contains("at most")
                }
                Err(_) => false,
            };
            // Where a vector only asks whether the file is valid, it need not be possible to link it.
            let unlinked = vector.want == Want::Validate
                && vector.expect.accepts()
                && matches!(loaded, Err(ModuleError::Unresolvable { .. }));
            assert!(as_said || unlinked, "{}: expected {expected:?}, got {loaded:?}", vector.id);
            *seen.entry(if loaded.is_ok() { "loaded" } else { "refused" }).or_default() += 1;
        }
    }
    assert!(seen["loaded"] > 1000 && seen["refused"] > 1500, "{seen:?}");
}

/// Whether the file is refused only because it is not for this machine: here, any machine's files are loaded.
fn foreign(vector: &Vector) -> bool {
    vector.want == Want::Load && vector.expect.stages == [Stage::Unsupported]
}

#[test]
fn segments_keep_apart_as_machines_want_it() {
    for name in ["scp", "smf"] {
        let format = format(name);
        for vector in vectors(name) {
            let Ok(module) = load_at(&vector, &format, BASES[1]) else { continue };
            let segments = &module.program.segments;
            assert!(segments.first().is_none_or(|s| s.address == BASES[1]), "{}", vector.id);
            for segment in segments {
                assert!(segment.address.is_multiple_of(PAGE) && segment.size > 0, "{}", vector.id);
                assert!(u64::try_from(segment.bytes.len()).unwrap() <= segment.size);
            }
            for pair in segments.windows(2) {
                let end = pair[0].address + pair[0].size.next_multiple_of(PAGE);
                let one_image = pair[0].name.split('.').next() == pair[1].name.split('.').next();
                let gap = if one_image { 0 } else { PAGE };
                assert!(end + gap <= pair[1].address, "{}: {pair:?}", vector.id);
            }
            assert!(module.program.symbols.is_sorted_by_key(|symbol| symbol.address));
            assert!(module.origins.is_sorted_by_key(|origin| origin.address));
        }
    }
}

fn vector(format: &str, id: &str) -> Vector {
    vectors(format).into_iter().find(|vector| vector.id == id).unwrap_or_else(|| panic!("{id}"))
}

#[test]
fn functions_of_scp_have_types_conventions_and_a_field_that_led_there() {
    let format = format("scp");
    let rich = vector("scp", "scp/base/rich-x86_64");
    let module = load_at(&rich, &format, BASES[0]).unwrap();
    let model = rich.expect.model.as_ref().unwrap();
    let table = model["functions"].as_array().unwrap();
    assert_eq!(module.functions.len(), table.len());
    assert!(table.len() > 1);
    for (index, (function, entry)) in module.functions.iter().zip(table).enumerate() {
        assert_eq!(function.name, entry["name"]);
        let offset = entry["entry_offset"].as_u64().unwrap();
        assert_eq!(function.address, BASES[0] + offset);
        assert_eq!(function.pure, entry["flags"].as_u64().unwrap() & 1 == 1);
        assert_eq!(function.convention, Convention::SystemV);
        let (params, _) = function.signature.as_ref().unwrap();
        assert_eq!(params.len(), entry["params"].as_array().unwrap().len());
        let at_entry = module.origins_of(function.address);
        let field = format!("functions[{index}].entry_offset");
        let origin = at_entry.iter().find(|origin| origin.field == field).unwrap();
        let place = usize::try_from(origin.offset).unwrap();
        assert_eq!(number(&rich.bytes.0[place..place + 8]), offset, "{field}");
        assert_eq!(at_entry.last().unwrap().field, "code");
    }
    assert_eq!(module.thread_safe, model["header"]["flags"].as_u64().unwrap() & 1 == 1);
}

#[test]
fn stdcall_means_something_on_32_bit_x86_only() {
    let format = format("scp");
    let mut conventions = BTreeMap::new();
    for vector in vectors("scp").iter().filter(|vector| vector.expect.accepts()) {
        let Ok(module) = load_at(vector, &format, BASES[0]) else { continue };
        let Some(function) = module.functions.first() else { continue };
        let named = vector.bytes.0[21];
        let key = (module.program.architecture, named);
        assert_eq!(*conventions.entry(key).or_insert(function.convention), function.convention);
    }
    use Architecture::{Arm64, X86_32, X86_64};
    for (key, convention) in conventions {
        let expected = match key {
            (X86_32, 1) => Convention::Stdcall,
            (X86_32, _) => Convention::Cdecl,
            (X86_64, _) => Convention::SystemV,
            (Arm64, _) => Convention::Aapcs64,
        };
        assert_eq!(convention, expected, "{key:?}");
    }
}

#[test]
fn a_slot_is_read_only_memory_of_its_own_and_the_relocation_is_named() {
    let format = format("smf");
    let all = vectors("smf");
    let uses_slot = |vector: &&Vector| {
        let mut patches = vector.expect.images.iter().flat_map(|image| &image.patches);
        patches.any(|patch| patch.way == Way::Slot)
    };
    let vector = all.iter().find(uses_slot).unwrap();
    let module = load_at(vector, &format, BASES[0]).unwrap();
    let got = module.program.segments.iter().find(|segment| segment.name == "got").unwrap();
    assert_eq!(got.permissions, Permissions::R);
    let origin = module.origins.iter().find(|o| o.what.starts_with("gotpcrel of symbol ")).unwrap();
    assert!(origin.field.starts_with("relocations["), "{origin:?}");
    let slot = |origin: &module::Origin| {
        let distance = number(&read(&module, origin.address, 4).unwrap());
        i64::from(u32::try_from(distance).unwrap().cast_signed())
    };
    assert_ne!(slot(origin), 0);
}

#[test]
fn an_undefined_symbol_is_named_with_its_relocation() {
    let format = format("smf");
    let undefined = |vector: &&Vector| {
        vector.want == Want::Load && vector.expect.rule.as_deref() == Some("SMF-IMPORT")
    };
    let all = vectors("smf");
    let vector = all.iter().find(undefined).unwrap();
    let error = load_at(vector, &format, BASES[0]).unwrap_err();
    assert!(matches!(error, ModuleError::Unresolvable { .. }), "{error}");
    assert!(error.to_string().starts_with("nobody defines `"), "{error}");
    let interface = module::interface(&format, &vector.bytes.0).unwrap();
    assert!(interface.imports.iter().any(|i| error.to_string().contains(&format!("`{}`", i.name))));
}

#[test]
fn bases_that_no_module_can_lie_at_are_refused() {
    let format = format("scp");
    let vector = vector("scp", "scp/base/rich-x86_64");
    for base in [0, 1, BASES[0] + 8, u64::MAX - PAGE + 1] {
        let error = load_at(&vector, &format, base).unwrap_err();
        assert!(matches!(error, ModuleError::Base { .. }), "{base:#x}: {error}");
    }
    let small = vectors("scp");
    let x86_32 = |vector: &&Vector| {
        vector.expect.accepts()
            && load_at(vector, &format, BASES[0]).is_ok_and(|module| {
                module.program.architecture == Architecture::X86_32
                    && !module.program.segments.is_empty()
            })
    };
    let error = load_at(small.iter().find(x86_32).unwrap(), &format, BASES[1]).unwrap_err();
    assert!(error.to_string().contains("32 bits"), "{error}");
}
