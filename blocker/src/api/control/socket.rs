//! The socket itself, and who may speak on it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use axum::serve::Listener;
use nix::unistd::geteuid;
use tokio::net::unix::{SocketAddr, UCred};
use tokio::net::{UnixListener, UnixStream};

/// Whoever comes from another user than root or the agent's own is sent away, whatever the file's permissions have become.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Takes the socket's path, in the place of one that an agent before this one has left.
///
/// # Errors
///
/// When there cannot be a socket.
pub fn bind(path: &Path) -> Result<Socket> {
    let context = || format!("{}: there cannot be a control socket", path.display());
    // Whoever holds the namespace's lock is the only agent here.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(context),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(context)?;
    Ok(Socket {
        listener,
        path: path.to_owned(),
    })
}

impl Listener for Socket {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if is_welcome(peer) => return (stream, address),
                Ok(peer) => tracing::warn!(
                    uid = peer.uid(),
                    "somebody who may not has called on the control socket"
                ),
                Err(error) => tracing::warn!(%error, "the kernel does not tell who calls on the control socket"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn is_welcome(peer: UCred) -> bool {
    peer.uid() == 0 || peer.uid() == geteuid().as_raw()
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next agent takes its place anyway.
        let _ = fs::remove_file(&self.path);
    }
}
