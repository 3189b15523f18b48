//! Reading the memory of another process.

use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Fills `into` from `address` on in the memory of `pid`; the address at which that failed otherwise.
pub(crate) fn read(pid: Pid, address: u64, into: &mut [u8]) -> Result<(), u64> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let here = address.saturating_add(done as u64);
        let base = usize::try_from(here).map_err(|_| here)?;
        let remote = [RemoteIoVec { base, len: rest.len() }];
        match process_vm_readv(pid, &mut [IoSliceMut::new(rest)], &remote) {
            Ok(0) => return Err(here),
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(_) => return Err(here),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_read_up_to_where_it_ends() {
        let bytes = [7_u8; 32];
        let mut read_back = [0; 32];
        let address = bytes.as_ptr().addr() as u64;
        assert_eq!(read(Pid::this(), address, &mut read_back), Ok(()));
        assert_eq!(read_back, bytes);
        assert_eq!(read(Pid::this(), 16, &mut read_back), Err(16));
        assert_eq!(read(Pid::this(), u64::MAX - 3, &mut read_back), Err(u64::MAX - 3));
    }
}
