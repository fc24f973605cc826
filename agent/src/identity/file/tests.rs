use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::*;
use crate::identity::testing::Authority;

struct Place {
    _tree: TempDir,
    directory: PathBuf,
    identity: Identity,
}

impl Place {
    fn new() -> Self {
        let tree = TempDir::new().unwrap();
        let directory = tree.path().join("lib/identity");
        let identity = Authority::new("a").joined();
        identity.save(&directory).unwrap();
        Self {
            _tree: tree,
            directory,
            identity,
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    fn error(&self) -> String {
        load(&self.directory).unwrap_err().to_string()
    }

    /// What is said of the file after its text was changed.
    fn changed(&self, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let text = fs::read(self.file()).unwrap();
        let mut value = serde_json::from_slice(&text).unwrap();
        change(&mut value);
        fs::write(self.file(), value.to_string()).unwrap();
        let error = self.error();
        fs::write(self.file(), text).unwrap();
        assert!(!error.contains("PRIVATE"), "{error}");
        error
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_saved_is_loaded_and_nobody_else_may_read_it() {
    let place = Place::new();
    assert_eq!(load(&place.directory).unwrap().unwrap(), place.identity);
    assert_eq!(
        (mode(&place.directory), mode(&place.file())),
        (0o700, 0o600)
    );
    let names: Vec<_> = fs::read_dir(&place.directory).unwrap().collect();
    assert_eq!(names.len(), 1);
    let other = Authority::new("b").joined();
    other.save(&place.directory).unwrap();
    assert_eq!(load(&place.directory).unwrap().unwrap(), other);
}

#[test]
fn a_node_that_has_not_joined_or_has_left_has_none() {
    let place = Place::new();
    remove(&place.directory).unwrap();
    assert_eq!(load(&place.directory).unwrap(), None);
    remove(&place.directory).unwrap();
    assert_eq!(load(Path::new("/nonexistent/identity")).unwrap(), None);
    remove(Path::new("/nonexistent/identity")).unwrap();
}

#[test]
fn one_that_others_may_read_or_write_is_refused() {
    let place = Place::new();
    set_mode(&place.file(), 0o640);
    assert!(
        place.error().contains("its mode is 0640"),
        "{}",
        place.error()
    );
    set_mode(&place.file(), 0o600);
    set_mode(&place.directory, 0o755);
    assert!(
        place.error().contains("its mode is 0755"),
        "{}",
        place.error()
    );
    let error = place.identity.save(&place.directory).unwrap_err();
    assert!(matches!(error, IdentityError::Rights { .. }), "{error}");
}

#[test]
fn what_is_left_of_a_crash_is_in_nobodys_way() {
    let place = Place::new();
    let new = place.directory.join(NEW_FILE);
    fs::write(&new, "half").unwrap();
    set_mode(&new, 0o644);
    assert!(load(&place.directory).unwrap().is_some());
    place.identity.save(&place.directory).unwrap();
    assert_eq!(mode(&place.file()), 0o600);
    assert!(!new.exists());
}

#[test]
fn a_link_in_the_place_of_the_file_is_not_followed() {
    let place = Place::new();
    let elsewhere = place.directory.join("elsewhere");
    fs::rename(place.file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.file()).unwrap();
    let error = load(&place.directory).unwrap_err();
    assert!(matches!(error, IdentityError::Io { .. }), "{error}");
}

#[test]
fn damage_is_named_and_never_shows_the_key() {
    let place = Place::new();
    let text = fs::read(place.file()).unwrap();
    for damaged in [
        Vec::new(),
        text.get(..text.len() / 2).unwrap().to_vec(),
        vec![b' '; 600 << 10],
        b"{\"key\": 7}".to_vec(),
    ] {
        fs::write(place.file(), damaged).unwrap();
        assert!(place.error().contains("is damaged"), "{}", place.error());
    }
    fs::write(place.file(), text).unwrap();
    let other = Authority::new("b").joined();
    let certificate = STANDARD.encode(other.chain.first().unwrap());
    for (error, words) in [
        (
            place.changed(|file| file["version"] = 2.into()),
            "version 2",
        ),
        (
            place.changed(|file| file["node"] = "pve2".into()),
            "somebody else",
        ),
        (
            place.changed(|file| file["key"] = "no key".into()),
            "is no key",
        ),
        (
            place.changed(|file| file["key"] = other.key_pem.clone().into()),
            "not that of",
        ),
        (
            place.changed(|file| file["chain"][0] = certificate.into()),
            "not that of",
        ),
        (
            place.changed(|file| file["chain"][0] = "MAA=".into()),
            "no certificate",
        ),
        (
            place.changed(|file| file["chain"][0] = "!".into()),
            "no base64",
        ),
        (
            place.changed(|file| file["chain"] = serde_json::json!([])),
            "0 chain",
        ),
        (
            place.changed(|file| file["authorities"] = vec!["MAA="; 9].into()),
            "9 authorities",
        ),
        (
            place.changed(|file| file["coordinators"] = vec![""].into()),
            "no addresses",
        ),
    ] {
        assert!(
            error.contains("is damaged") && error.contains(words),
            "{error}"
        );
    }
}
