//! Lines of comma-separated values, all of them in quotes.

/// Values of one line, at most `limit`; a quote in a value is doubled. None for a line
/// of another shape.
pub(super) fn values(line: &str, limit: usize) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = line.trim();
    while values.len() < limit {
        rest = rest.strip_prefix('"')?;
        let mut value = String::new();
        loop {
            let (before, after) = rest.split_once('"')?;
            value.push_str(before);
            match after.strip_prefix('"') {
                Some(more) => {
                    value.push('"');
                    rest = more;
                }
                None => {
                    rest = after;
                    break;
                }
            }
        }
        values.push(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(values),
            None => return None,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_and_quotes() {
        let all = |line| values(line, 10);
        assert_eq!(all(r#""a,b","","c""d""#).unwrap(), ["a,b", "", "c\"d"]);
        assert_eq!(all(r#""a""#).unwrap(), ["a"]);
        for line in ["", "a", r#""a"#, r#""a","#, r#""a"b"#, r#""a",b"#] {
            assert_eq!(all(line), None, "{line}");
        }
        assert_eq!(values(r#""a","b","c""#, 2).unwrap(), ["a", "b"]);
    }
}
