//! Words and phrases of a table, found in a text.

/// Characters of a text that are looked at.
pub(super) const LOOKED_AT: usize = 2_000;
/// Words that may stand in a gap: `disk .. full` is in "the disk of web is 99 % full".
const GAP: usize = 5;

/// What is looked at of a text, with the rest dropped before anything else is done.
pub(super) fn beginning(text: &str) -> &str {
    match text.char_indices().nth(LOOKED_AT) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// The words of a text in small letters: runs of letters and digits.
#[derive(Debug)]
pub(super) struct Words(Vec<String>);

/// A phrase that was found, and at which words.
#[derive(Debug)]
struct Found {
    phrase: &'static str,
    at: Vec<usize>,
}

impl Found {
    /// Whether another says the same with more words.
    fn is_part_of(&self, other: &Self) -> bool {
        self.at.len() < other.at.len() && self.at.iter().all(|at| other.at.contains(at))
    }
}

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let words = beginning(text).split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        Self(words.map(str::to_lowercase).collect())
    }

    /// The phrases of a list that occur, in the order of the list. What is a part of a
    /// longer one that occurs is left out: "disk full" says "full", too.
    ///
    /// A list is separated by `|`. A word of a phrase that ends with `*` is the
    /// beginning of a word, and `..` stands for a few words or none.
    pub(super) fn matches(&self, list: &'static str) -> Vec<&'static str> {
        self.matches_each([list]).pop().unwrap_or_default()
    }

    /// The same for several lists, where a phrase may be a part of one in another list.
    pub(super) fn matches_each(
        &self,
        lists: impl IntoIterator<Item = &'static str>,
    ) -> Vec<Vec<&'static str>> {
        let find = |list: &'static str| {
            let phrases = list.split('|').map(str::trim);
            phrases.filter_map(|phrase| self.find(phrase)).collect()
        };
        let found: Vec<Vec<Found>> = lists.into_iter().map(find).collect();
        let is_whole = |one: &&Found| !found.iter().flatten().any(|other| one.is_part_of(other));
        let whole = |found: &Vec<Found>| {
            let whole = found.iter().filter(is_whole);
            whole.map(|one| one.phrase).collect()
        };
        found.iter().map(whole).collect()
    }

    /// Whether the words begin with these.
    pub(super) fn begin_with(&self, prefix: &str) -> bool {
        let mut own = self.0.iter();
        prefix
            .split(' ')
            .all(|word| own.next().is_some_and(|own| own == word))
    }

    fn find(&self, phrase: &'static str) -> Option<Found> {
        // An apostrophe and a slash part words here as they do in the text.
        let parts: Vec<&str> = phrase
            .split([' ', '\'', '/', '-'])
            .filter(|part| !part.is_empty())
            .collect();
        let mut at = (0..self.0.len()).find_map(|from| self.at(from, &parts))?;
        at.reverse();
        Some(Found { phrase, at })
    }

    /// Where the words of a phrase are that begins at a word, the last first.
    fn at(&self, from: usize, parts: &[&str]) -> Option<Vec<usize>> {
        match parts {
            [] => Some(Vec::new()),
            ["..", rest @ ..] => (from..=from + GAP).find_map(|from| self.at(from, rest)),
            [part, rest @ ..] => {
                let word = self.0.get(from)?;
                let fits = match part.strip_suffix('*') {
                    Some(stem) => word.starts_with(stem),
                    None => word == part,
                };
                let mut at = fits.then(|| self.at(from + 1, rest)).flatten()?;
                at.push(from);
                Some(at)
            }
        }
    }
}

/// A phrase of a table as people write it: `disk ... full`.
pub(super) fn spelled(phrase: &str) -> String {
    phrase.replace('*', "").replace("..", "...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_stems_and_gaps_are_told_apart() {
        let words = Words::of("The DISK of web-1 is 99% full; it can't be slowly, Ünïcode I/O");
        assert_eq!(words.matches("disk .. full|full|dis"), ["disk .. full"]);
        assert_eq!(words.matches("slow"), [""; 0]);
        assert_eq!(
            words.matches("slow*| can't | i/o"),
            ["slow*", "can't", "i/o"]
        );
        assert_eq!(words.matches("web .. ünïcode"), [""; 0]);
        assert!(Words::of("guest.fs_full").begin_with("guest fs"));
        assert!(!Words::of("guest.fs").begin_with("guest fs full"));
        assert_eq!(spelled("disk .. full*"), "disk ... full");
    }

    #[test]
    fn only_the_beginning_is_looked_at() {
        let text = "ä".repeat(LOOKED_AT - 5) + " slow slow";
        assert_eq!(Words::of(&text).matches("slow"), ["slow"]);
        let text = "ä".repeat(LOOKED_AT - 4) + " slow slow";
        assert_eq!(Words::of(&text).matches("slow"), [""; 0]);
    }
}
