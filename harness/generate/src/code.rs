//! A few instructions of the architectures that specs name, for modules that are called.

/// Code that returns `value` as a 32-bit integer; `None` for an architecture that is not known here.
pub(crate) fn returning(architecture: &str, value: u16) -> Option<Vec<u8>> {
    match architecture {
        // mov eax, value; ret
        "x86_64" => {
            let [low, high] = value.to_le_bytes();
            Some(vec![0xb8, low, high, 0, 0, 0xc3])
        }
        // mov w0, #value; ret
        "arm64" => {
            let mov = 0x5280_0000_u32 | (u32::from(value) << 5);
            Some([mov.to_le_bytes(), 0xd65f_03c0_u32.to_le_bytes()].concat())
        }
        _ => None,
    }
}

/// Code that goes on at the address in its last eight bytes, and their offset.
pub(crate) fn forwarding(architecture: &str) -> Option<(Vec<u8>, u64)> {
    let code: &[u8] = match architecture {
        "x86_64" => &[0xff, 0x25, 0, 0, 0, 0], // jmp [rip]
        "arm64" => &[0x50, 0, 0, 0x58, 0, 0x02, 0x1f, 0xd6], // ldr x16, .+8; br x16
        _ => return None,
    };
    Some(([code, &[0; 8]].concat(), code.len() as u64))
}
