//! The rules of SCP 0.1 that this loader enforces, with their frozen ids.

/// Defines an enum of rules with their ids, stages and sentences.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = ($id:literal, $stage:ident),)+) => {
        /// A rule, in canonical order: of several violations of one stage, the first in this order is
        /// the one that is reported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// All rules in canonical order.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The frozen id (`SCP-HEADER-MAGIC`).
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// The stage that a violation ends the load at.
            #[must_use]
            pub fn stage(self) -> harness_protocol::Stage {
                match self {
                    $(Self::$name => harness_protocol::Stage::$stage,)+
                }
            }

            /// What was violated, as one sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

pub(crate) use rules;

rules! {
    // Checked while the bytes are decoded; the first violation ends the decoding.
    /// the file ends inside the fixed 32 bytes of the header
    HeaderBounds = ("SCP-HEADER-BOUNDS", Malformed),
    /// the file does not begin with 53 43 50 00 ('SCP' and a zero byte)
    HeaderMagic = ("SCP-HEADER-MAGIC", Malformed),
    /// the major version is not 0
    HeaderMajor = ("SCP-HEADER-MAJOR", Unsupported),
    /// the minor version is not 1
    HeaderMinor = ("SCP-HEADER-MINOR", Unsupported),
    /// the header is said to be larger than the file
    HeaderSize = ("SCP-HEADER-SIZE", Malformed),
    /// the functions table runs past the header
    FuncTableBounds = ("SCP-FUNC-TABLE-BOUNDS", Malformed),
    /// the types table runs past the header
    TypeTableBounds = ("SCP-TYPE-TABLE-BOUNDS", Malformed),
    /// the dependencies table runs past the header
    DepTableBounds = ("SCP-DEP-TABLE-BOUNDS", Malformed),
    /// the strings table runs past the header
    StrTableBounds = ("SCP-STR-TABLE-BOUNDS", Malformed),
    /// the code runs past the end of the file
    CodeBounds = ("SCP-CODE-BOUNDS", Malformed),

    // Checked once the file is decoded.
    /// the checksum is not that of the header and the code
    HeaderChecksum = ("SCP-HEADER-CHECKSUM", Invalid),
    /// the architecture is none of x86_64, ARM64 and x86_32
    HeaderArchitecture = ("SCP-HEADER-ARCHITECTURE", Invalid),
    /// the calling convention is none of cdecl, stdcall and system
    HeaderConvention = ("SCP-HEADER-CONVENTION", Invalid),
    /// undefined bits are set in the header's flags
    HeaderFlags = ("SCP-HEADER-FLAGS", Invalid),
    /// the reserved bytes are not zero
    HeaderReserved = ("SCP-HEADER-RESERVED", Invalid),
    /// the bytes between the strings and the code are not zero
    HeaderSlack = ("SCP-HEADER-SLACK", Invalid),
    /// there are bytes after the code
    FileTrailing = ("SCP-FILE-TRAILING", Invalid),
    /// a string is not UTF-8
    StrUtf8 = ("SCP-STR-UTF8", Invalid),
    /// the name of a function lies outside the strings
    FuncNameBounds = ("SCP-FUNC-NAME-BOUNDS", Invalid),
    /// the name of a function does not start where a string starts
    FuncNameStart = ("SCP-FUNC-NAME-START", Invalid),
    /// the entry of a function lies outside the code
    FuncEntryBounds = ("SCP-FUNC-ENTRY-BOUNDS", Invalid),
    /// the entry of a function is not aligned for its architecture
    FuncEntryAlign = ("SCP-FUNC-ENTRY-ALIGN", Invalid),
    /// the type of a parameter is not defined
    FuncParamCode = ("SCP-FUNC-PARAM-CODE", Invalid),
    /// a parameter is void
    FuncParamVoid = ("SCP-FUNC-PARAM-VOID", Invalid),
    /// the return type is not defined
    FuncReturnCode = ("SCP-FUNC-RETURN-CODE", Invalid),
    /// undefined bits are set in a function's flags
    FuncFlags = ("SCP-FUNC-FLAGS", Invalid),
    /// a parameter is a struct_ref, but the file describes no structure
    FuncParamStruct = ("SCP-FUNC-PARAM-STRUCT", Invalid),
    /// a return type is struct_ref, but the file describes no structure
    FuncReturnStruct = ("SCP-FUNC-RETURN-STRUCT", Invalid),
    /// two functions have the same name
    FuncUnique = ("SCP-FUNC-UNIQUE", Invalid),
    /// two types have the same id
    TypeIdUnique = ("SCP-TYPE-ID-UNIQUE", Invalid),
    /// the name of a type lies outside the strings
    TypeNameBounds = ("SCP-TYPE-NAME-BOUNDS", Invalid),
    /// the name of a type does not start where a string starts
    TypeNameStart = ("SCP-TYPE-NAME-START", Invalid),
    /// the type of a field is not defined
    TypeFieldCode = ("SCP-TYPE-FIELD-CODE", Invalid),
    /// a field is void
    TypeFieldVoid = ("SCP-TYPE-FIELD-VOID", Invalid),
    /// a field lies outside its structure
    TypeFieldBounds = ("SCP-TYPE-FIELD-BOUNDS", Invalid),
    /// the name of a dependency lies outside the strings
    DepNameBounds = ("SCP-DEP-NAME-BOUNDS", Invalid),
    /// the name of a dependency does not start where a string starts
    DepNameStart = ("SCP-DEP-NAME-START", Invalid),
    /// the module requires a garbage collector, which this loader does not have
    HeaderGc = ("SCP-HEADER-GC", Unsupported),
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
    fn ids_are_unique() {
        let ids: HashSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        assert!(ids.iter().all(|id| id.starts_with("SCP-")));
    }

    #[test]
    fn all_is_in_canonical_order() {
        assert!(Rule::ALL.is_sorted());
    }

    #[test]
    fn summaries_are_sentences_without_an_end() {
        for rule in Rule::ALL {
            assert!(!rule.summary().starts_with(' ') && !rule.summary().ends_with('.'), "{rule}");
        }
    }
}
