//! Pages of the file that are not what was written.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    sync::LazyLock,
};

use pvelens::store::{BACKUPS, FILE, Replaced, StoreError, row::BlockQuery, sqlite};
use tempfile::TempDir;

use crate::watch::Watch;

const PAGE: usize = 4096;
const DAMAGED: &str = "The store of the coordinator was damaged";

/// A file of an hour and some, so that there are values as they came and roll-ups, and
/// where the stream is.
static KEPT: LazyLock<(Vec<u8>, u64)> = LazyLock::new(|| {
    let directory = TempDir::new().unwrap();
    let mut watch = Watch::start(directory.path(), 0);
    watch.go_on(70).unwrap();
    let sequence = watch.end();
    (fs::read(directory.path().join(FILE)).unwrap(), sequence)
});

/// Puts that file into a directory.
fn kept() -> (TempDir, u64) {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(FILE), &KEPT.0).unwrap();
    (directory, KEPT.1)
}

/// Something else is in a page; what the file is then.
fn damage(directory: &Path, page: usize) -> Vec<u8> {
    let path = directory.join(FILE);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let at = u64::try_from(page * PAGE).unwrap();
    file.write_all_at(&[0xa5; PAGE], at).unwrap();
    fs::read(path).unwrap()
}

fn replaced(watch: &Watch) -> Option<Replaced> {
    watch.coordinator.store()?.condition().replaced
}

/// Reads all values that there are, as far as that is possible.
fn ask_for_all(watch: &Watch) {
    let Some(store) = watch.coordinator.store() else {
        return;
    };
    let asked = store.read(|reader| {
        for block in reader.blocks(&BlockQuery::default())? {
            reader.block(block.id, 0, usize::MAX)?;
        }
        Ok(())
    });
    if let Err(error) = asked {
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }
}

/// Starts on a damaged file until it is set aside, which is the second time at the
/// latest; what became of it.
fn survive(directory: &Path, mut sequence: u64) -> Option<Replaced> {
    for _ in 0..2 {
        let mut watch = Watch::start(directory, sequence);
        // It may find out when it writes or tidies up, or when somebody asks.
        watch.go_on(6).unwrap_or_default();
        watch.sees_the_present();
        let replaced = replaced(&watch);
        if replaced.is_some() {
            assert_eq!(watch.findings(), [DAMAGED]);
            // From here on everything is kept.
            watch.go_on(3).unwrap();
            return replaced;
        }
        ask_for_all(&watch);
        sequence = watch.end();
    }
    None
}

#[test]
fn a_damaged_page_anywhere_is_survived() {
    let pages = KEPT.0.len() / PAGE;
    for page in [0, 2, pages / 3, pages / 2] {
        let (directory, sequence) = kept();
        let damaged = damage(directory.path(), page);
        let replaced = survive(directory.path(), sequence).unwrap();
        assert_eq!(replaced.backup, None);
        // It is there for who wants to look at it; more may have been written to it.
        let set_aside = fs::metadata(&replaced.set_aside).unwrap();
        assert!(set_aside.len() >= u64::try_from(damaged.len()).unwrap());
        let problems = sqlite::check_file(&directory.path().join(FILE)).unwrap();
        assert_eq!(problems, [""; 0], "page {page}");
    }
}

#[test]
fn the_newest_good_backup_takes_the_place_of_a_damaged_file() {
    let (directory, sequence) = kept();
    let path = directory.path().join(FILE);
    let backups = directory.path().join(BACKUPS);
    fs::create_dir(&backups).unwrap();
    let backup = backups.join("a.db");
    sqlite::backup_file(&path, &backup).unwrap();
    // A newer one that is itself damaged is passed over.
    fs::write(backups.join("b.db"), damage(directory.path(), 0)).unwrap();
    let watch = Watch::start(directory.path(), sequence);
    let replaced = replaced(&watch).unwrap();
    assert_eq!(replaced.backup.map(|(path, _)| path), Some(backup));
    drop(watch);
    // All that the backup has is there.
    assert_eq!(
        pvelens_tests::kept::look_at_backup(directory.path(), sequence).unwrap(),
        sequence
    );
}
