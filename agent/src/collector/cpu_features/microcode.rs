//! The microcode that the node's packages hold for its processor: what the next boot
//! loads, if it is newer than that of the firmware.
//!
//! Intel: a file for each family, model and stepping with one update after the other
//! (Intel SDM, volume 3, 11.11). AMD: a file for each family, with a table of
//! processors and a patch for each (`linux@arch/x86/kernel/cpu/microcode/amd.c`).

use crate::format::FormatError;

/// Updates or patches of one file.
const UPDATE_LIMIT: usize = 1_000;
const INTEL_HEADER: usize = 48;
/// Sizes where the header has 0, as on the first processors.
const INTEL_DATA: usize = 2_000;
const INTEL_TOTAL: usize = 2_048;
const AMD_MAGIC: u32 = 0x0041_4d44;
const AMD_TABLE: u32 = 0;
const AMD_PATCH: u32 = 1;

/// Family, model and stepping of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Processor {
    pub(super) family: u32,
    pub(super) model: u32,
    pub(super) stepping: u32,
}

impl Processor {
    /// As `cpuid` gives it, with the upper parts of family and model apart.
    fn signature(self) -> u32 {
        let base = self.family.min(15);
        let extended = self.family.saturating_sub(15);
        (self.stepping & 0xf)
            | (self.model & 0xf) << 4
            | base << 8
            | (self.model >> 4 & 0xf) << 16
            | (extended & 0xff) << 20
    }

    /// `06-4f-01`.
    pub(super) fn intel_file(self) -> String {
        let Self {
            family,
            model,
            stepping,
        } = self;
        format!("{family:02x}-{model:02x}-{stepping:02x}")
    }

    /// `microcode_amd_fam19h.bin`; those before family 15h share one.
    pub(super) fn amd_file(self) -> String {
        if self.family < 0x15 {
            "microcode_amd.bin".to_owned()
        } else {
            format!("microcode_amd_fam{:02x}h.bin", self.family)
        }
    }
}

/// The newest revision for the processor in a file of Intel. `platform` is the set of
/// flags that the kernel shows, of which an update needs one; absent when unknown.
pub(super) fn intel(
    bytes: &[u8],
    processor: Processor,
    platform: Option<u32>,
) -> Result<Option<u32>, FormatError> {
    let fits = |signature: u32, flags: u32| {
        signature == processor.signature()
            && platform.is_none_or(|platform| platform == 0 || flags & platform != 0)
    };
    let mut newest = None;
    let mut rest = bytes;
    for _ in 0..UPDATE_LIMIT {
        if number(rest, 0)? != 1 {
            return Err(FormatError::malformed("not an update of microcode"));
        }
        let (revision, signature, flags) = (number(rest, 4)?, number(rest, 12)?, number(rest, 24)?);
        let (data, total) = match (size(rest, 28)?, size(rest, 32)?) {
            (0, _) => (INTEL_DATA, INTEL_TOTAL),
            sizes => sizes,
        };
        if total < INTEL_HEADER {
            return Err(FormatError::malformed("an update without size"));
        }
        let (update, others) = rest
            .split_at_checked(total)
            .ok_or_else(|| FormatError::truncated("an update does not end"))?;
        // Behind the data, other processors that it is for.
        let table = INTEL_HEADER
            .checked_add(data)
            .and_then(|start| update.get(start..))
            .unwrap_or_default();
        let entries = table.get(20..).unwrap_or_default().chunks_exact(12);
        let is_for_other = entries
            .take(size(table, 0).unwrap_or_default())
            .any(|entry| {
                let (signature, flags) = (number(entry, 0), number(entry, 4));
                signature.is_ok_and(|signature| flags.is_ok_and(|flags| fits(signature, flags)))
            });
        if fits(signature, flags) || is_for_other {
            newest = newest.max(Some(revision));
        }
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    Ok(newest)
}

/// The newest revision for the processor in a file of AMD.
pub(super) fn amd(bytes: &[u8], processor: Processor) -> Result<Option<u32>, FormatError> {
    let mut newest = None;
    let mut wanted = None;
    let mut rest = bytes;
    for _ in 0..UPDATE_LIMIT {
        let mut kind = number(rest, 0)?;
        if kind == AMD_MAGIC {
            rest = rest.get(4..).unwrap_or_default();
            kind = number(rest, 0)?;
            if kind != AMD_TABLE {
                return Err(FormatError::malformed("no table of processors"));
            }
        } else if kind != AMD_PATCH {
            return Err(FormatError::malformed("not a file of microcode"));
        }
        let (part, others) = rest
            .get(8..)
            .and_then(|rest_of| rest_of.split_at_checked(size(rest, 4).ok()?))
            .ok_or_else(|| FormatError::truncated("a part does not end"))?;
        if kind == AMD_TABLE {
            wanted = part
                .chunks_exact(16)
                .find(|entry| number(entry, 0) == Ok(processor.signature()))
                .and_then(|entry| half(entry, 12));
        } else if wanted.is_some() && half(part, 24) == wanted {
            newest = newest.max(Some(number(part, 4)?));
        }
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    Ok(newest)
}

fn number(bytes: &[u8], place: usize) -> Result<u32, FormatError> {
    let end = place.saturating_add(4);
    bytes
        .get(place..end)
        .and_then(|four| four.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or_else(|| FormatError::truncated("a number does not end"))
}

fn size(bytes: &[u8], place: usize) -> Result<usize, FormatError> {
    usize::try_from(number(bytes, place)?).map_err(|_| FormatError::malformed("a size too large"))
}

fn half(bytes: &[u8], place: usize) -> Option<u16> {
    let two = bytes.get(place..place.checked_add(2)?)?;
    two.try_into().ok().map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROCESSOR: Processor = Processor {
        family: 6,
        model: 0x4f,
        stepping: 1,
    };

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn length<T>(list: &[T]) -> u32 {
        u32::try_from(list.len()).unwrap()
    }

    fn update(revision: u32, signature: u32, flags: u32, others: &[(u32, u32)]) -> Vec<u8> {
        let mut extra = Vec::new();
        if !others.is_empty() {
            extra = vec![length(others), 0, 0, 0, 0];
            extra.extend(others.iter().flat_map(|(one, flags)| [*one, *flags, 0]));
        }
        let total = 48 + 4 + length(&extra) * 4;
        let header = [1, revision, 0, signature, 0, 1, flags, 4, total, 0, 0, 0];
        words(&[&header[..], &[7], &extra].concat())
    }

    #[test]
    fn processors_have_their_signature_and_files() {
        assert_eq!(PROCESSOR.signature(), 0x0004_06f1);
        assert_eq!(PROCESSOR.intel_file(), "06-4f-01");
        let epyc = Processor {
            family: 0x19,
            model: 0x11,
            stepping: 1,
        };
        assert_eq!(epyc.signature(), 0x00a1_0f11);
        assert_eq!(epyc.amd_file(), "microcode_amd_fam19h.bin");
    }

    #[test]
    fn the_newest_update_for_the_processor_and_its_platform_counts() {
        let file = [
            update(0x10, 0x0004_06f1, 1, &[]),
            update(0x30, 0x0004_06f1, 2, &[]),
            update(0x40, 0x0004_06f0, 1, &[]),
            update(0x20, 0x0005_0000, 1, &[(0x0004_06f1, 1)]),
        ]
        .concat();
        assert_eq!(intel(&file, PROCESSOR, Some(1)), Ok(Some(0x20)));
        assert_eq!(intel(&file, PROCESSOR, None), Ok(Some(0x30)));
        let other = Processor {
            stepping: 9,
            ..PROCESSOR
        };
        assert_eq!(intel(&file, other, None), Ok(None));
        assert!(intel(&file[..60], PROCESSOR, None).is_err());
        assert!(intel(&[], PROCESSOR, None).is_err());
        assert!(intel(&words(&[2; 20]), PROCESSOR, None).is_err());
    }

    #[test]
    fn a_table_leads_to_the_patch_of_amd() {
        let epyc = Processor {
            family: 0x19,
            model: 1,
            stepping: 1,
        };
        let table = words(&[epyc.signature(), 0, 0, 0xa011, 0, 0, 0, 0]);
        let patch = |revision: u32, equivalent: u32| {
            let body = words(&[0, revision, 0, 0, 0, 0, equivalent, 0]);
            [words(&[AMD_PATCH, 32]), body].concat()
        };
        let file = [
            words(&[AMD_MAGIC, AMD_TABLE, 32]),
            table,
            patch(0x0a00_1100, 0xa011),
            patch(0x0a00_11ff, 0xa012),
            patch(0x0a00_11d1, 0xa011),
        ]
        .concat();
        assert_eq!(amd(&file, epyc), Ok(Some(0x0a00_11d1)));
        assert_eq!(amd(&file, PROCESSOR), Ok(None));
        assert!(amd(&file[..file.len() - 1], epyc).is_err());
        assert!(amd(b"text, not a container", epyc).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(lead in prop::sample::select(vec![vec![1], vec![AMD_MAGIC, 0, 16], vec![AMD_PATCH, 8]]), rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [words(&lead), rest].concat();
            drop(intel(&bytes, PROCESSOR, Some(1)));
            drop(amd(&bytes, PROCESSOR));
        }
    }
}
