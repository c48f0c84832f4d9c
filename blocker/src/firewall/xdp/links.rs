//! Links between the program and interfaces that outlive the agent.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpLinkId};
use aya::programs::{ProgramError, Xdp};
use nix::libc;

use super::pins::PinnedAt;

/// Puts the program in the place of the one that a pinned link has run until now, in one step. None where the interface is gone; then
/// the pin is taken out.
pub(super) fn adopt(program: &mut Xdp, pinned: &PinnedAt) -> Result<Option<XdpLinkId>> {
    let context = || format!("{}: the link cannot be taken over", pinned.path.display());
    let link = match PinnedLink::from_pin(&pinned.path) {
        Ok(link) => link,
        Err(LinkError::SyscallError(call)) if call.io_error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    let link = XdpLink::try_from(FdLink::from(link)).with_context(context)?;
    match program.attach_to_link(link) {
        Ok(id) => Ok(Some(id)),
        Err(ProgramError::SyscallError(call)) if call.io_error.raw_os_error() == Some(libc::ENOLINK) => {
            remove(pinned)?;
            Ok(None)
        }
        Err(error) => Err(error).with_context(context),
    }
}

/// Has the program hold a link of its own for as long as it lives.
pub(super) fn hold(program: &mut Xdp, link: FdLink) -> Result<XdpLinkId> {
    Ok(program.attach_to_link(XdpLink::try_from(link)?)?)
}

/// Takes a link from the program, and with it the program off the interface, unless the link is pinned.
pub(super) fn let_go(program: &mut Xdp, link: XdpLinkId) -> Result<FdLink> {
    Ok(FdLink::try_from(program.take_link(link)?)?)
}

/// Pins a link, and has the program hold it, also where somebody removes the pin.
pub(super) fn pin(program: &mut Xdp, link: FdLink, path: &Path) -> Result<XdpLinkId> {
    // A pin of a link to an interface that is gone, whose index another has now.
    let _ = fs::remove_file(path);
    let pinned = link
        .pin(path)
        .with_context(|| format!("{}: the link cannot be pinned", path.display()))?;
    hold(program, FdLink::from(pinned))
}

/// Takes a pin out, and with it the program off its interface, unless a process holds it.
pub(super) fn remove(pinned: &PinnedAt) -> Result<()> {
    fs::remove_file(&pinned.path).with_context(|| format!("{}: cannot be removed", pinned.path.display()))
}
