//! A complaint as words. Whoever wrote it may be anybody: words of the tables are
//! looked for in it, nothing in it is obeyed, and only its beginning is read.

/// Characters that are read.
const LIMIT: usize = 2000;

/// What a complaint says, in two ways.
#[derive(Debug)]
pub(super) struct Issue {
    /// Letters and digits alone, in small letters: `I/O` is two words, `can't` is one.
    words: Vec<String>,
    /// Between blanks, commas, brackets and quotes, as written: names have dots and
    /// dashes in them.
    tokens: Vec<String>,
}

impl Issue {
    pub(super) fn new(text: &str) -> Self {
        let text: String = text.chars().take(LIMIT).collect();
        let bare = text.to_lowercase().replace(['\'', '’'], "");
        let words = bare
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let is_between =
            |c: char| c.is_whitespace() || c.is_control() || "\"'`’“”„,;!?()[]{}<>=|".contains(c);
        let tokens = text
            .split(is_between)
            .map(trimmed)
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
            .collect();
        Self { words, tokens }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(String::as_str)
    }

    /// Each token with the one before it and the one after it.
    pub(super) fn neighbours(&self) -> impl Iterator<Item = (Option<&str>, &str, Option<&str>)> {
        let at = |position: Option<usize>| position.and_then(|at| self.tokens.get(at));
        self.tokens.iter().enumerate().map(move |(here, token)| {
            let before = at(here.checked_sub(1)).map(String::as_str);
            let after = at(here.checked_add(1)).map(String::as_str);
            (before, token.as_str(), after)
        })
    }

    /// Whether it says this: words in a row, each whole, or as a beginning when it ends
    /// with `*`.
    pub(super) fn says(&self, pattern: &str) -> bool {
        let wanted: Vec<&str> = pattern.split(' ').collect();
        self.words.windows(wanted.len().max(1)).any(|words| {
            words
                .iter()
                .zip(&wanted)
                .all(|(word, wanted)| match wanted.strip_suffix('*') {
                    Some(stem) => word.starts_with(stem),
                    None => word == wanted,
                })
        })
    }
}

/// Without what ends a sentence or begins a list; a drive keeps its colon.
fn trimmed(token: &str) -> &str {
    let trimmed = token.trim_matches(|c| matches!(c, '.' | ':' | '-' | '*' | '#'));
    match token.strip_suffix(':') {
        Some(drive) if drive == trimmed && drive.len() == 1 => token,
        _ => trimmed,
    }
}

/// A pattern of a table for people: `slow*` as `slow…`.
pub(super) fn shown(pattern: &str) -> String {
    pattern.replace('*', "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_or_stems() {
        let issue = Issue::new("The web-server is SLOWER; it can't resolve names (I/O?)");
        assert!(issue.says("slow*"));
        assert!(!issue.says("slow"));
        assert!(issue.says("web server"));
        assert!(issue.says("cant resolv* name*"));
        assert!(issue.says("i o"));
        assert!(!issue.says("server web"));
        assert!(!issue.says("serve"));
        assert!(!Issue::new("").says("slow*"));
    }

    #[test]
    fn names_keep_their_dots() {
        let issue = Issue::new("`nginx.service` fails, see eth0.100: \"C:\\\" or D: -");
        let tokens: Vec<&str> = issue.tokens().collect();
        assert_eq!(
            tokens,
            [
                "nginx.service",
                "fails",
                "see",
                "eth0.100",
                "C:\\",
                "or",
                "D:"
            ]
        );
    }

    #[test]
    fn only_the_beginning_is_read() {
        let long = format!("{} slow", "x ".repeat(1_000_000));
        let issue = Issue::new(&long);
        assert!(!issue.says("slow"));
        assert!(issue.tokens().count() <= LIMIT);
    }
}
