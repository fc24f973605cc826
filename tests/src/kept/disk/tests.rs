use super::*;

fn written(nature: Nature) -> Disk {
    let disk = Disk::of(Image::new(), nature);
    let mut state = disk.state();
    let file = state.create(b"a").unwrap();
    state.write(file, 0, b"synced").unwrap();
    state.sync(file).unwrap();
    state.sync_names().unwrap();
    state.write(file, 0, b"change").unwrap();
    state.rename(b"a", b"b").unwrap();
    drop(state);
    disk
}

fn left(disk: &Disk, left: Left) -> Image {
    disk.lose(left, &mut Numbers::new(1))
}

fn image(name: &[u8], content: &[u8]) -> Image {
    Image::from([(name.to_vec(), content.to_vec())])
}

#[test]
fn what_was_synced_is_left_and_the_rest_may_be() {
    let disk = written(Nature::default());
    assert_eq!(left(&disk, Left::Nothing), image(b"a", b"synced"));
    let disk = written(Nature::default());
    assert_eq!(left(&disk, Left::Everything), image(b"b", b"change"));
    assert_eq!(disk.state().write(2, 0, b"x"), Err(Errno::IO));
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let disk = written(Nature::default());
        let some = disk.lose(Left::Some, &mut Numbers::new(seed));
        seen.extend(some);
    }
    let expected = [
        (b"a", b"change"),
        (b"a", b"synced"),
        (b"b", b"change"),
        (b"b", b"synced"),
    ];
    let expected = expected.map(|(name, content)| (name.to_vec(), content.to_vec()));
    assert_eq!(seen, std::collections::BTreeSet::from(expected));
}

#[test]
fn a_disk_that_lies_keeps_nothing() {
    let lies = |syncs| Nature {
        syncs,
        ..Nature::default()
    };
    assert_eq!(
        left(&written(lies(Syncs::None)), Left::Nothing),
        Image::new()
    );
    assert_eq!(
        left(&written(lies(Syncs::AllButNames)), Left::Nothing),
        Image::new()
    );
    let disk = written(lies(Syncs::AllBut("a")));
    assert_eq!(left(&disk, Left::Nothing), image(b"a", b""));
}

#[test]
fn the_power_goes_before_the_operation_that_was_named() {
    let disk = Disk::of(
        Image::new(),
        Nature {
            cut: Some(Cut { of: "", before: 2 }),
            ..Nature::default()
        },
    );
    let file = disk.state().create(b"a").unwrap();
    assert!(!disk.is_cut());
    assert_eq!(disk.state().write(file, 0, b"x"), Err(Errno::IO));
    assert!(disk.is_cut());
    assert_eq!(left(&disk, Left::Everything), image(b"a", b""));
    let disk = Disk::of(
        Image::new(),
        Nature {
            cut: Some(Cut { of: "b", before: 1 }),
            ..Nature::default()
        },
    );
    let [a, b] = [b"a", b"b"].map(|name| disk.state().create(name).unwrap());
    disk.state().write(a, 0, b"x").unwrap();
    assert_eq!(disk.state().write(b, 0, b"x"), Err(Errno::IO));
}

#[test]
fn a_disk_may_be_full_or_read_only() {
    let disk = Disk::of(
        Image::new(),
        Nature {
            limit_bytes: 10,
            ..Nature::default()
        },
    );
    let mut state = disk.state();
    let file = state.create(b"a").unwrap();
    state.write(file, 0, b"12345678").unwrap();
    assert_eq!(state.write(file, 8, b"9ab"), Err(Errno::NOSPC));
    // What is there may be written over.
    state.write(file, 0, b"87654321").unwrap();
    state.nature.is_read_only = true;
    assert_eq!(state.write(file, 0, b"1"), Err(Errno::ROFS));
    assert_eq!(state.create(b"b"), Err(Errno::ROFS));
    assert_eq!(state.content(file).unwrap(), b"87654321");
}
