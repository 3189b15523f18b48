//! A tiny encoder for tests and benches: writes whatever it is given, right or wrong.

/// What a file says. [`Scp::encode`] fills in sizes, counts and the checksum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scp {
    pub(crate) architecture: u8,
    pub(crate) convention: u8,
    pub(crate) flags: u16,
    pub(crate) functions: Vec<Function>,
    pub(crate) types: Vec<Type>,
    /// Name offset and minimum version.
    pub(crate) dependencies: Vec<(u32, u32)>,
    /// Without their NULs.
    pub(crate) strings: Vec<Vec<u8>>,
    pub(crate) slack: Vec<u8>,
    pub(crate) code: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    pub(crate) name: u32,
    pub(crate) entry: u64,
    pub(crate) params: Vec<u8>,
    pub(crate) returns: u8,
    pub(crate) flags: u8,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Type {
    pub(crate) id: u16,
    pub(crate) name: u32,
    pub(crate) size: u32,
    /// Offset and type code.
    pub(crate) fields: Vec<(u32, u8)>,
}

impl Scp {
    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut file = b"SCP\0\0\0\x01\0".to_vec();
        file.extend([0; 4]);
        file.extend((self.code.len() as u64).to_le_bytes());
        file.extend([self.architecture, self.convention]);
        file.extend(self.flags.to_le_bytes());
        file.extend([0; 8]);
        self.tables(&mut file);
        file.extend(&self.slack);
        let header_size = file.len() as u32;
        file[8..12].copy_from_slice(&header_size.to_le_bytes());
        file.extend(&self.code);
        seal(&mut file);
        file
    }

    fn tables(&self, file: &mut Vec<u8>) {
        file.extend((self.functions.len() as u32).to_le_bytes());
        for function in &self.functions {
            file.extend(function.name.to_le_bytes());
            file.extend(function.entry.to_le_bytes());
            file.push(function.params.len() as u8);
            file.extend(&function.params);
            file.extend([function.returns, function.flags]);
        }
        file.extend((self.types.len() as u32).to_le_bytes());
        for structure in &self.types {
            file.extend(structure.id.to_le_bytes());
            file.extend(structure.name.to_le_bytes());
            file.extend(structure.size.to_le_bytes());
            file.push(structure.fields.len() as u8);
            for (offset, code) in &structure.fields {
                file.extend(offset.to_le_bytes());
                file.push(*code);
            }
        }
        file.extend((self.dependencies.len() as u32).to_le_bytes());
        for (name, version) in &self.dependencies {
            file.extend(name.to_le_bytes());
            file.extend(version.to_le_bytes());
        }
        file.extend((self.strings.len() as u32).to_le_bytes());
        for string in &self.strings {
            file.extend(string);
            file.push(0);
        }
    }
}

/// Writes the checksum of everything but what follows header and code, as far as the file has it.
pub(crate) fn seal(file: &mut [u8]) {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let end = (word(8) as usize).saturating_add(word(12) as usize).min(file.len());
    file[24..28].fill(0);
    let checksum = crc32fast::hash(&file[..end]);
    file[24..28].copy_from_slice(&checksum.to_le_bytes());
}
