//! The database as it must not be: damaged, removed, out of reach, on a disk without room.

use std::os::unix::fs::{FileExt as _, symlink};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use super::*;

fn broken(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names
        .filter(|name| name.contains(".broken-") && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect()
}

#[test]
fn a_database_that_is_none_is_moved_aside_and_a_new_one_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("ledger.db"),
        "this is no database, but long enough to be taken for one\n".repeat(99),
    )
    .unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    assert!(kept.store.is_durable());
    assert_eq!(broken(folder.path()).len(), 1);
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    assert_eq!(after_a_kill(folder.path(), at(1)).len(), 1);
}

/// More than the memory for pages that were read has room for.
const MANY: u32 = 20_000;

/// A folder with many bans in it, in the database's own file.
fn many_bans() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::open(folder.path(), at(0));
    for n in 0..MANY {
        let subject = nth(n);
        kept.ledger.enter(ban(&subject, 0, 0, 600));
        kept.store.enter(&ban(&subject, 0, 0, 600), Entered::New { bans: 1 });
    }
    kept.store.commit(&kept.ledger, at(0));
    folder
}

/// Overwrites what lies behind the first page.
fn damage(folder: &Path) {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(folder.join("ledger.db"))
        .unwrap();
    let length = file.metadata().unwrap().len();
    assert!(length > 40_000, "{length}");
    for at in (4096..length - 4096).step_by(4096) {
        file.write_all_at(&[0xa5; 4096], at).unwrap();
    }
}

#[test]
fn a_database_that_was_damaged_is_moved_aside_at_the_start() {
    let folder = many_bans();
    damage(folder.path());
    let kept = Kept::open(folder.path(), at(0));
    assert!(kept.store.is_durable());
    assert_eq!(kept.bans(), []);
    assert_eq!(broken(folder.path()).len(), 1);
}

#[test]
fn a_database_that_is_damaged_while_in_use_is_made_anew_with_all_bans_before_the_next_is_enforced() {
    let folder = many_bans();
    let mut kept = Kept::open(folder.path(), at(0));
    assert_eq!(kept.bans().len(), MANY as usize);
    damage(folder.path());
    // Pages that are in memory still are not read again: sooner or later a damaged one is.
    let mut looks = (0..MANY).map(|n| kept.past(&nth(n), Some(0), at(1)));
    let blind = looks.find(|past| past.bans == 0);
    assert_eq!(blind, Some(Past::default()));
    kept.enter(ban(HOST, 0, 1, 600), at(1));
    assert_eq!(broken(folder.path()).len(), 1, "the damage was found");
    assert!(kept.store.is_durable());
    assert_eq!(after_a_kill(folder.path(), at(2)), kept.bans());
}

#[test]
fn broken_databases_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    for second in 0..9 {
        fs::write(folder.path().join("ledger.db"), "no database at all\n".repeat(999)).unwrap();
        drop(Kept::open(folder.path(), at(second)));
        fs::remove_file(folder.path().join("ledger.db")).unwrap();
    }
    assert_eq!(broken(folder.path()).len(), 3);
}

#[test]
fn a_newer_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Kept::open(folder.path(), at(0)));
    let connection = Connection::open(folder.path().join("ledger.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let mut kept = Kept::open(folder.path(), at(0));
    assert!(!kept.store.is_durable());
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    assert_eq!(kept.bans().len(), 1);
    assert!(broken(folder.path()).is_empty());
    fs::remove_file(folder.path().join("ledger.db")).unwrap();
    kept.store.tick(&kept.ledger, at(2));
    assert!(kept.store.is_durable(), "it was moved away, as the message says");
}

#[test]
fn a_database_that_is_removed_while_in_use_is_written_anew_with_all_bans() {
    for what in ["ledger.db", "ledger.db-wal", ""] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut kept = Kept::open(&path, at(0));
        kept.enter(ban(HOST, 0, 0, 600), at(0));
        if what.is_empty() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(path.join(what)).unwrap();
        }
        kept.store.tick(&kept.ledger, at(1));
        assert!(kept.store.is_durable(), "{what}");
        assert_eq!(after_a_kill(&path, at(2)), kept.bans(), "{what}");

        // And before a ban is enforced, without waiting for the next look.
        fs::remove_file(path.join("ledger.db")).unwrap();
        kept.enter(ban(OTHER, 1, 2, 600), at(2));
        assert_eq!(kept.bans().len(), 2);
        assert_eq!(after_a_kill(&path, at(3)), kept.bans(), "{what}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_leaves_bans_in_memory_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    // A link to nowhere: neither a folder nor a place for one.
    symlink(folder.path().join("nowhere/at/all"), &path).unwrap();
    let mut kept = Kept::open(&path, at(0));
    assert!(!kept.store.is_durable());
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    assert!(!kept.store.is_durable());
    assert_eq!(kept.past(HOST, Some(0), at(1)).bans, 1, "history is kept in memory too");
    fs::remove_file(&path).unwrap();
    kept.store.tick(&kept.ledger, at(0));
    assert!(!kept.store.is_durable(), "it is too early to try again");
    kept.store.tick(&kept.ledger, at(1));
    assert!(kept.store.is_durable());
    assert_eq!(after_a_kill(&path, at(2)), kept.bans());
    assert_eq!(kept.past(HOST, Some(0), at(1)).bans, 1);
}

#[test]
fn bans_that_a_folder_holds_which_was_out_of_reach_at_the_start_are_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("state"), folder.path().join("away"));
    let mut kept = Kept::open(&path, at(0));
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    drop(kept);
    fs::rename(&path, &away).unwrap();
    symlink(folder.path().join("nowhere/at/all"), &path).unwrap();
    let mut kept = Kept::open(&path, at(1));
    kept.enter(ban(OTHER, 0, 1, 600), at(1));
    fs::remove_file(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    kept.store.tick(&kept.ledger, at(9));
    assert!(kept.store.is_durable());
    assert_eq!(after_a_kill(&path, at(9)).len(), 2);
}

/// A small file system in memory, in a folder of its own; unmounted with this value.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(size: &str) -> Self {
        assert!(
            nix::unistd::Uid::effective().is_root(),
            "needs root: run `cargo xtask test`"
        );
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        mount(
            Some("tmpfs"),
            folder.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .unwrap();
        Self(folder)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn on_a_full_disk_bans_are_kept_in_memory_and_written_when_there_is_room_again() {
    let disk = Tmpfs::new("2M");
    let path = disk.0.path().join("state");
    let mut kept = Kept::open(&path, at(0));
    kept.enter(ban(HOST, 0, 0, 6000), at(0));
    let filler = disk.0.path().join("filler");
    let _full = fs::write(&filler, vec![0; 4_000_000]).unwrap_err();
    let mut n = 0;
    while kept.store.is_durable() {
        assert!(n < 2000, "a full disk takes bans for ever");
        let subject = nth(n);
        kept.enter(ban(&subject, 0, 0, 6000), at(0));
        n += 1;
    }
    kept.enter(ban(OTHER, 0, 0, 6000), at(0));
    for second in 1..40 {
        kept.store.tick(&kept.ledger, at(second));
    }
    assert!(!kept.store.is_durable());
    assert_eq!(kept.bans().len(), n as usize + 2, "no ban is lost meanwhile");
    assert_eq!(
        kept.past(HOST, Some(0), at(50)).bans,
        1,
        "what is on the disk can be read"
    );
    fs::remove_file(&filler).unwrap();
    kept.store.tick(&kept.ledger, at(200));
    assert!(kept.store.is_durable());
    assert_eq!(after_a_kill(&path, at(201)), kept.bans());
    assert_eq!(kept.past(OTHER, Some(0), at(201)).bans, 1);
}

#[test]
fn a_disk_that_can_be_read_only_leaves_bans_in_memory() {
    let disk = Tmpfs::new("8M");
    let path = disk.0.path().join("state");
    let remount = |flags| {
        mount(
            None::<&str>,
            disk.0.path(),
            None::<&str>,
            MsFlags::MS_REMOUNT | flags,
            None::<&str>,
        )
        .unwrap()
    };
    let mut kept = Kept::open(&path, at(0));
    kept.enter(ban(HOST, 0, 0, 600), at(0));
    drop(kept);
    remount(MsFlags::MS_RDONLY);
    let mut kept = Kept::open(&path, at(1));
    assert!(!kept.store.is_durable());
    kept.enter(ban(OTHER, 0, 1, 600), at(1));
    remount(MsFlags::empty());
    kept.store.tick(&kept.ledger, at(3));
    assert!(kept.store.is_durable());
    assert_eq!(after_a_kill(&path, at(4)).len(), 2);
}
