//! JSON that may be cut.

use serde_json::Value;

use super::output::Output;

/// The value, and whether it is whole. Of a cut list, or of a cut object, whole entries
/// and members are left: one of which a part is missing would say something else.
pub(super) fn parse(output: &Output<'_>) -> Option<(Value, bool)> {
    match serde_json::from_str(output.text) {
        Ok(value) => Some((value, !output.is_cut)),
        Err(_) if output.is_cut => {
            let whole = whole(output.text)?;
            serde_json::from_str(&whole)
                .ok()
                .map(|value| (value, false))
        }
        Err(_) => None,
    }
}

/// The text up to the last comma that follows a whole entry of the outer list or a list
/// in the outer object, or a whole member of that object, closed again.
fn whole(text: &str) -> Option<String> {
    let mut open: Vec<char> = Vec::new();
    let mut last = None;
    let (mut in_string, mut is_escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        if in_string {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match letter {
            '"' => in_string = true,
            '[' => open.push(']'),
            '{' => open.push('}'),
            ']' | '}' if open.pop() != Some(letter) => return None,
            ',' => match open.as_slice() {
                [_] => last = Some((at, open.clone())),
                ['}', ']'] => last = Some((at, open.clone())),
                _ => {}
            },
            _ => {}
        }
    }
    let (at, open) = last?;
    let mut kept = text.split_at_checked(at)?.0.to_owned();
    kept.extend(open.into_iter().rev());
    Some(kept)
}

/// A whole number, which may be written as a text.
pub(super) fn number(object: &Value, name: &str) -> Option<u64> {
    let value = object.get(name)?;
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(super::number::whole))
        .and_then(super::number::sane)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_entries_are_left_of_a_cut_list() {
        for (text, left) in [
            (r#"[{"a":1},{"b":[1,2"#, Some(json!([{"a": 1}]))),
            (r#"[{"a":"x,}\"]"},{"#, Some(json!([{"a": "x,}\"]"}]))),
            (
                r#"{"v":"1","l":[{"n":1},{"n":2"#,
                Some(json!({"v": "1", "l": [{"n": 1}]})),
            ),
            (r#"{"v":"1","w":"#, Some(json!({"v": "1"}))),
            (r#"[1,]"#, Some(json!([1]))),
            (r#"[{"a":1}"#, None),
            ("]", None),
        ] {
            let value = parse(&Output::new(text, true)).map(|(value, _)| value);
            assert_eq!(value, left, "{text}");
        }
        assert_eq!(parse(&Output::new("[1,2", false)), None);
        assert!(!parse(&Output::new("[1]", true)).unwrap().1);
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(parse(&Output::new(&"[".repeat(100_000), true)), None);
        assert!(parse(&Output::new(&"[1,".repeat(100_000), true)).is_some());
    }
}
