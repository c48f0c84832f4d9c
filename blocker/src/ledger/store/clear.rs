//! Lifting all bans while no agent runs.

use std::path::Path;

use super::Unusable;
use super::database::Database;
use super::folder::Folder;

/// Lifts every ban that the folder's ledger holds, of jails that are not configured too, and says how many they were. History stays. A
/// folder without a ledger is left as it is.
///
/// # Errors
///
/// When an agent uses the folder, or the database cannot be written.
pub fn clear(folder: &Path) -> Result<usize, Unusable> {
    let mut folder = Folder::new(folder.to_owned());
    if !folder.database().exists() {
        return Ok(0);
    }
    folder.take()?;
    Ok(Database::open(&folder)?.lift_all()?)
}
