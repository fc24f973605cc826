//! Files of the trust: nobody else's, whole or not at all, and on the disk before
//! anybody hears of what is in them.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Of thousands of nodes and years of their certificates.
const LIMIT_BYTES: u64 = 64 << 20;

/// Why a file of the trust cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path} can be used by others (mode {mode:o}): it holds keys. Find out who did that and \
         whether somebody read it; then `chmod {wanted:o} {path}`"
    )]
    Rights {
        path: PathBuf,
        mode: u32,
        wanted: u32,
    },
    #[error("{0} is larger than a file of ours can be")]
    Size(PathBuf),
}

fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> FileError + use<'a> {
    move |source| FileError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Looks whether the directory is ours alone, if it is there.
pub(super) fn look_at_directory(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => directory(path),
    }
}

/// Makes the directory, or looks whether it is ours alone.
pub(super) fn directory(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => rights(path, metadata.permissions().mode(), DIRECTORY_MODE),
        Err(error) if error.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map_err(io_error("making the directory", path)),
        Err(error) => Err(io_error("looking at", path)(error)),
    }
}

/// The content, or none when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, FileError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io_error("opening", path))?,
    };
    let metadata = file.metadata().map_err(io_error("looking at", path))?;
    rights(path, metadata.permissions().mode(), FILE_MODE)?;
    let mut text = String::new();
    file.take(LIMIT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(io_error("reading", path))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LIMIT_BYTES {
        return Err(FileError::Size(path.to_owned()));
    }
    Ok(Some(text))
}

/// Replaces a file as a whole. When this returns it is on the disk.
pub(super) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&beside)
        .map_err(io_error("making", &beside))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io_error("writing", &beside))?;
    fs::rename(&beside, path).map_err(io_error("replacing", path))?;
    sync_directory(path)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => {
            removed.map_err(io_error("removing", path))?;
            sync_directory(path)
        }
    }
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error("writing down", directory))
}

fn rights(path: &Path, mode: u32, wanted: u32) -> Result<(), FileError> {
    let mode = mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Rights {
            path: path.to_owned(),
            mode,
            wanted,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn files_are_ours_alone_and_replaced_as_a_whole() {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("trust");
        self::directory(&place).unwrap();
        self::directory(&place).unwrap();
        let path = place.join("trust.json");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&path)), (0o700, 0o600));
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("key");
        write(&path, "secret").unwrap();
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        let wide = directory.path().join("wide");
        fs::create_dir(&wide).unwrap();
        fs::set_permissions(&wide, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(
            self::directory(&wide),
            Err(FileError::Rights { .. })
        ));
    }
}
