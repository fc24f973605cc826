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

/// Starts on a damaged file, and once more; what became of the file.
fn survive(directory: &Path, sequence: u64) -> (Watch, Option<Replaced>) {
    let mut watch = Watch::start(directory, sequence);
    // It may find out when it writes or tidies up, or when somebody asks.
    watch.go_on(6).unwrap_or_default();
    watch.sees_the_present();
    ask_for_all(&watch);
    let first = replaced(&watch);
    let sequence = watch.end();
    let mut watch = Watch::start(directory, sequence);
    let replaced = first.or_else(|| self::replaced(&watch));
    // From here on everything is kept.
    watch.go_on(3).unwrap();
    watch.sees_the_present();
    (watch, replaced)
}

#[test]
fn a_damaged_page_anywhere_is_survived() {
    let pages = KEPT.0.len() / PAGE;
    let mut set_aside = 0;
    let some = [0, 2, pages / 3, pages / 2];
    for page in some {
        let (directory, sequence) = kept();
        let damaged = damage(directory.path(), page);
        let (watch, replaced) = survive(directory.path(), sequence);
        let Some(replaced) = replaced else {
            // The rest of the file is good, or nobody needed the page: it is no
            // secret, at least.
            continue;
        };
        set_aside += 1;
        // Of a file that goes on to be written, only what is not written again.
        assert_eq!(fs::read(&replaced.set_aside).unwrap().len() % 4096, 0);
        assert!(fs::read(&replaced.set_aside).unwrap().len() >= damaged.len());
        assert_eq!(replaced.backup, None);
        if super::damaged::replaced(&watch).is_some() {
            assert_eq!(watch.findings(), [DAMAGED], "page {page}");
        }
        drop(watch);
        let problems = sqlite::check_file(&directory.path().join(FILE)).unwrap();
        assert_eq!(problems, [""; 0], "page {page}");
    }
    // The first page, and those in which rows are found.
    assert!(set_aside >= 2, "{set_aside} of {}", some.len());
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
        pvelens_tests::kept::look(directory.path(), sequence).unwrap(),
        sequence
    );
}
