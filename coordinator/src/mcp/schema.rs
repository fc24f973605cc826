//! Schemas of tools as clients understand them best.
//!
//! Everything is inline, since some hosts do not follow references, and
//! optional members are optional instead of nullable: answers leave out what is
//! not known. `format` is kept only where JSON Schema defines it; validators
//! complain about `uint32`.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::shape::{self, Shape};

const FORMATS: [&str; 2] = ["date-time", "uri"];

/// What an answer of this type looks like once it has this shape.
pub(super) fn output<T: JsonSchema>(shape: &Shape) -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let Some(object) = schema.as_object_mut() else {
        // Only the schemas `true` and `false` are no object; answers are structs.
        return Arc::default();
    };
    let mut value = Value::Object(std::mem::take(object));
    shape::describe(&mut value, shape);
    clean(&mut value);
    Arc::new(root(value))
}

/// What a tool accepts.
pub(super) fn input(schema: &JsonObject) -> Arc<JsonObject> {
    let mut value = Value::Object(schema.clone());
    clean(&mut value);
    Arc::new(root(value))
}

fn root(value: Value) -> JsonObject {
    match value {
        Value::Object(mut object) => {
            object.remove("title");
            object.remove("description");
            object
        }
        _ => JsonObject::new(),
    }
}

fn clean(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| !FORMATS.contains(&format))
            {
                object.remove("format");
            }
            without_null_type(object);
            without_null_branch(object);
            for (name, member) in object.iter_mut() {
                // An object with member names as keys, not a schema.
                if name == "properties" {
                    if let Value::Object(properties) = member {
                        properties.values_mut().for_each(clean);
                    }
                } else if name != "default" && name != "enum" && name != "const" {
                    clean(member);
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(clean),
        _ => {}
    }
}

/// `["string", "null"]` is `"string"`; other unions become `anyOf`.
fn without_null_type(object: &mut JsonObject) {
    let Some(Value::Array(types)) = object.get_mut("type") else {
        return;
    };
    types.retain(|word| word != "null");
    match types.as_slice() {
        [one] => {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
        several => {
            let branches = several.iter().map(|word| json!({ "type": word })).collect();
            object.remove("type");
            object.insert("anyOf".to_owned(), Value::Array(branches));
        }
    }
}

/// `anyOf` of a schema and null is the schema.
fn without_null_branch(object: &mut JsonObject) {
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| branch.get("type") != Some(&json!("null")));
    if let [Value::Object(one)] = branches.as_mut_slice() {
        let one = std::mem::take(one);
        object.remove("anyOf");
        for (name, member) in one {
            // The description of the member itself is the better one.
            object.entry(name).or_insert(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_members_are_not_nullable_and_formats_are_known() {
        let mut schema = json!({
            "properties": {
                "format": { "type": ["integer", "null"], "format": "uint32" },
                "at": { "type": "string", "format": "date-time" },
                "severity": {
                    "description": "outer",
                    "anyOf": [{ "type": "string", "enum": ["a"], "description": "inner" }, { "type": "null" }],
                },
                "either": { "type": ["integer", "string"] },
            }
        });
        clean(&mut schema);
        assert_eq!(
            schema,
            json!({
                "properties": {
                    "format": { "type": "integer" },
                    "at": { "type": "string", "format": "date-time" },
                    "severity": { "description": "outer", "type": "string", "enum": ["a"] },
                    "either": { "anyOf": [{ "type": "integer" }, { "type": "string" }] },
                }
            })
        );
    }
}
