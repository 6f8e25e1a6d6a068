//! The netlink socket that reads and changes the mesh.

use std::io;

use nix::errno::Errno;
use rtnetlink::Handle;

/// A socket that tells only what is asked for, and the task that reads it. A kernel before 4.20 knows no such socket, and tells all:
/// dumps leave out what is not theirs.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn connect() -> io::Result<(impl Future<Output = ()> + Send + 'static, Handle)> {
    let unknown = |error: &io::Error| error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOPROTOOPT);
    let (connection, handle, _) = match rtnetlink::new_connection_with_strict_check() {
        Err(error) if unknown(&error) => rtnetlink::new_connection()?,
        answer => answer?,
    };
    Ok((connection, handle))
}
