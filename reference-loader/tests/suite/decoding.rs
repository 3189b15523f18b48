//! Files that end too early, everywhere.

use harness_protocol::Stage;
use reference_loader::{Rule, parse};
use rstest::rstest;

use crate::files::full;

/// Every primitive of the tables of [`full`]: where it starts and ends.
fn primitives() -> Vec<(usize, usize, Rule)> {
    let widths: [(Rule, &[usize]); 4] = [
        (Rule::FuncTableBounds, &[4, 4, 8, 1, 1, 1, 1, 1, 4, 8, 1, 1, 1, 1, 1]),
        (Rule::TypeTableBounds, &[4, 2, 4, 4, 1, 4, 1, 4, 1, 2, 4, 4, 1]),
        (Rule::DepTableBounds, &[4, 4, 4]),
        (Rule::StrTableBounds, &[4, 4, 4, 6, 6, 5]),
    ];
    let mut at = 32;
    let mut primitives = Vec::new();
    for (rule, widths) in widths {
        for width in widths {
            primitives.push((at, at + width, rule));
            at += width;
        }
    }
    assert_eq!(at, 147);
    primitives
}

#[test]
fn a_file_cut_anywhere_is_malformed() {
    let file = full().encode();
    for length in 0..file.len() {
        let error = parse(&file[..length]).unwrap_err();
        let expected = match length {
            0..32 => Rule::HeaderBounds,
            32..149 => Rule::HeaderSize,
            _ => Rule::CodeBounds,
        };
        assert_eq!((error.rule(), error.stage()), (Some(expected), Some(Stage::Malformed)));
        assert!(error.offset().unwrap() <= length as u64);
    }
}

#[test]
fn a_header_cut_anywhere_names_the_primitive_that_is_cut() {
    for header_size in 0..147_u32 {
        let mut file = full().encode();
        file[8..12].copy_from_slice(&header_size.to_le_bytes());
        let error = parse(&file).unwrap_err();
        let cut = primitives().into_iter().find(|(_, end, _)| *end > header_size as usize).unwrap();
        let found = (error.offset().unwrap() as usize, error.rule().unwrap());
        assert_eq!(found, (cut.0, cut.2), "header_size {header_size}");
    }
}

#[rstest]
#[case::functions(32, Rule::FuncTableBounds, 88)]
#[case::types(70, Rule::TypeTableBounds, 142)]
#[case::dependencies(106, Rule::DepTableBounds, 142)]
#[case::strings(118, Rule::StrTableBounds, 149)]
fn a_count_of_four_billion_is_no_allocation(
    #[case] at: usize,
    #[case] rule: Rule,
    #[case] offset: u64,
) {
    let mut file = full().encode();
    file[at..at + 4].fill(0xff);
    let error = parse(&file).unwrap_err();
    assert_eq!(error.rule(), Some(rule));
    // Where the entries end that the following bytes can be taken for depends on those bytes; the
    // strings are known.
    match rule {
        Rule::StrTableBounds => assert_eq!(error.offset(), Some(offset)),
        _ => assert!(error.offset().unwrap() <= 149),
    }
}

#[test]
fn nothing_is_left_for_one_string_more() {
    let mut file = crate::encode::Scp { slack: vec![], ..full() }.encode();
    file[118] += 1;
    let error = parse(&file).unwrap_err();
    assert_eq!((error.rule(), error.offset()), (Some(Rule::StrTableBounds), Some(147)));
}

#[test]
fn what_decodes_is_borrowed_as_it_stands() {
    let bytes = full().encode();
    let file = parse(&bytes).unwrap();
    let strings = file.strings();
    assert_eq!(file.functions().map(|f| f.offset).collect::<Vec<_>>(), [36, 53]);
    assert_eq!(file.functions().nth(1).unwrap().params, [10, 11]);
    assert_eq!(
        file.types().map(|t| (t.id, t.size, t.fields().len())).collect::<Vec<_>>(),
        [(1, 8, 2), (2, 0, 0)]
    );
    assert_eq!(file.dependencies().next().unwrap().required_version, 0x0001_0002);
    assert_eq!((strings.count(), strings.iter().last()), (5, Some(b"math".as_slice())));
    assert_eq!(
        (strings.at(9), strings.at(24), strings.at(25)),
        (Some(b"oint".as_slice()), Some(b"".as_slice()), None)
    );
    assert_eq!((file.slack(), file.code()), ([0, 0].as_slice(), [0xc3; 8].as_slice()));
    assert_eq!(file.functions().len() + file.types().len() + file.dependencies().len(), 5);
}
