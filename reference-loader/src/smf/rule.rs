//! The rules of SMF 1.0 that this loader enforces, with their frozen ids.

use crate::rule::rules;

rules! {
    // Checked while the bytes are decoded; the first violation ends the decoding.
    /// the file ends inside the 72 bytes of the header
    HeaderBounds = ("SMF-HEADER-BOUNDS", Malformed),
    /// the file does not begin with 53 4d 46 00 ('SMF' and a zero byte)
    HeaderMagic = ("SMF-HEADER-MAGIC", Malformed),
    /// the major version is not 1
    HeaderMajor = ("SMF-HEADER-MAJOR", Unsupported),
    /// the minor version is not 0
    HeaderMinor = ("SMF-HEADER-MINOR", Unsupported),
    /// the section table runs past the end of the file
    SectionTableBounds = ("SMF-SECTION-TABLE-BOUNDS", Malformed),
    /// the type of a section is not defined
    SectionType = ("SMF-SECTION-TYPE", Malformed),
    /// the size of a Reloc section is no multiple of 24
    RelocSectionSize = ("SMF-RELOC-SECTION-SIZE", Malformed),
    /// the bytes of a section run past the end of the file
    SectionBounds = ("SMF-SECTION-BOUNDS", Malformed),
    /// the type of a relocation is not defined
    RelocType = ("SMF-RELOC-TYPE", Malformed),
    /// the symbol table runs past the end of the file
    SymbolTableBounds = ("SMF-SYMBOL-TABLE-BOUNDS", Malformed),
    /// the type of a symbol is not defined
    SymbolType = ("SMF-SYMBOL-TYPE", Malformed),
    /// the binding of a symbol is none of Local, Global and Weak
    SymbolBinding = ("SMF-SYMBOL-BINDING", Malformed),

    // Checked once the file is decoded.
    /// undefined bits are set in the header's flags
    HeaderFlags = ("SMF-HEADER-FLAGS", Invalid),
    /// the reserved bytes are not zero
    HeaderReserved = ("SMF-HEADER-RESERVED", Invalid),
    /// the entry point lies outside the code image
    HeaderEntry = ("SMF-HEADER-ENTRY", Invalid),
    /// a module that is not executable has an entry point
    HeaderNoEntry = ("SMF-HEADER-NO-ENTRY", Invalid),
    /// exported_count is not the number of Global symbols that the module defines
    HeaderExported = ("SMF-HEADER-EXPORTED", Invalid),
    /// the section table overlaps the header
    SectionTablePlace = ("SMF-SECTION-TABLE-PLACE", Invalid),
    /// the bytes of a section overlap the header or another section's
    SectionOverlap = ("SMF-SECTION-OVERLAP", Invalid),
    /// a section has more bytes in the file than in memory
    SectionVirtualSize = ("SMF-SECTION-VIRTUAL-SIZE", Invalid),
    /// the alignment of a section is not 1 to 4096
    SectionAlignRange = ("SMF-SECTION-ALIGN-RANGE", Invalid),
    /// the alignment of a section is no power of two
    SectionAlignPower = ("SMF-SECTION-ALIGN-POWER", Invalid),
    /// the name of a symbol is not a string of the string table that ends in it
    SymbolName = ("SMF-SYMBOL-NAME", Invalid),
    /// the name of a symbol is longer than 4095 bytes
    SymbolNameLength = ("SMF-SYMBOL-NAME-LENGTH", Invalid),
    /// the name of a symbol is not UTF-8
    SymbolNameUtf8 = ("SMF-SYMBOL-NAME-UTF8", Invalid),
    /// the hash of a symbol is not that of its name
    SymbolHash = ("SMF-SYMBOL-HASH", Invalid),
    /// a function lies outside the code image
    SymbolCodeBounds = ("SMF-SYMBOL-CODE-BOUNDS", Invalid),
    /// a datum or constant lies outside the data image
    SymbolDataBounds = ("SMF-SYMBOL-DATA-BOUNDS", Invalid),
    /// a relocation names a symbol past the table
    RelocSymbol = ("SMF-RELOC-SYMBOL", Invalid),
    /// a relocation names a symbol that is not an address
    RelocSymbolType = ("SMF-RELOC-SYMBOL-TYPE", Invalid),
    /// a relocation patches bytes outside the code image
    RelocBounds = ("SMF-RELOC-BOUNDS", Invalid),
    /// two relocations patch the same bytes
    RelocOverlap = ("SMF-RELOC-OVERLAP", Invalid),
    /// the images are larger than the loader maps
    ImageSize = ("SMF-IMAGE-SIZE", Unsupported),
    /// the module is compressed, which no algorithm is defined for
    HeaderCompressed = ("SMF-HEADER-COMPRESSED", Unsupported),
    /// the platform is not defined
    HeaderPlatform = ("SMF-HEADER-PLATFORM", Unsupported),
    /// the architecture is not defined
    HeaderArch = ("SMF-HEADER-ARCH", Unsupported),

    // Checked when the module is loaded.
    /// the module is for another platform than this one
    HostPlatform = ("SMF-HOST-PLATFORM", Unsupported),
    /// a symbol that a relocation uses is not defined anywhere
    Import = ("SMF-IMPORT", Unresolvable),
    /// a relocated value does not fit in 32 bits
    RelocRange = ("SMF-RELOC-RANGE", Unresolvable),
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_in_canonical_order() {
        let ids: HashSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        assert!(ids.iter().all(|id| id.starts_with("SMF-")));
        assert!(Rule::ALL.is_sorted());
    }

    #[test]
    fn summaries_are_sentences_without_an_end() {
        for rule in Rule::ALL {
            assert!(!rule.summary().starts_with(' ') && !rule.summary().ends_with('.'), "{rule}");
        }
    }
}
