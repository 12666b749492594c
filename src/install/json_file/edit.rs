//! Edits, each with what it takes to unmake it.

use jsonc_parser::cst::{CstInputValue, CstObject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvalidJson, JsonFile, wrong_kind};

/// What is changed in a JSON file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// The value of a key, at most one object down.
    Set {
        key: &'static [&'static str],
        value: Value,
    },
    /// One more item at the end of a list.
    Add { key: &'static str, item: Value },
}

/// An edit that was made, and what it takes to unmake it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Edited {
    /// `key` was `before`, or absent, and is `after`.
    Set {
        key: Vec<String>,
        before: Option<Value>,
        after: Value,
    },
    /// `item` is in the list `key`.
    Added { key: String, item: Value },
}

// === impl JsonFile ===

impl JsonFile {
    /// Makes an edit; `None` if it is as it should be already.
    pub(crate) fn edit(&self, edit: &Edit) -> Result<Option<Edited>, InvalidJson> {
        match edit {
            Edit::Set { key, value } => {
                let before = self.value(key);
                if before.as_ref() == Some(value) {
                    return Ok(None);
                }
                self.set(key, value)?;
                Ok(Some(Edited::Set {
                    key: key.iter().map(|key| (*key).to_owned()).collect(),
                    before,
                    after: value.clone(),
                }))
            }
            Edit::Add { key, item } => {
                match self.value(&[key]) {
                    Some(Value::Array(items)) if items.contains(item) => return Ok(None),
                    Some(Value::Array(_)) | None => {}
                    Some(_) => {
                        return Err(wrong_kind(&format!("`{key}`"), "something else", "a list"));
                    }
                }
                if let Some(list) = self.object().array_value_or_create(key) {
                    list.append(input(item));
                }
                Ok(Some(Edited::Added {
                    key: (*key).to_owned(),
                    item: item.clone(),
                }))
            }
        }
    }

    /// Unmakes an edit, as far as it still stands. What others made of the key since stays.
    pub(crate) fn unmake(&self, edited: &Edited) -> Result<(), InvalidJson> {
        match edited {
            Edited::Set { key, before, after } => {
                let key: Vec<&str> = key.iter().map(String::as_str).collect();
                if self.value(&key).as_ref() != Some(after) {
                    return Ok(());
                }
                match before {
                    Some(before) => self.set(&key, before)?,
                    None => self.remove(&key),
                }
            }
            Edited::Added { key, item } => {
                let Some(list) = self.object().array_value(key) else {
                    return Ok(());
                };
                let text = item.to_string();
                let found = list
                    .elements()
                    .into_iter()
                    .find(|element| same(&element.to_string(), &text));
                if let Some(element) = found {
                    element.remove();
                }
                if list.elements().is_empty() {
                    self.remove(&[key]);
                }
            }
        }
        Ok(())
    }

    fn set(&self, key: &[&str], value: &Value) -> Result<(), InvalidJson> {
        let object = self.object();
        match key {
            [] => Ok(()),
            [key] => {
                set(&object, key, value);
                Ok(())
            }
            [outer, inner, ..] => {
                let inside = object.object_value_or_create(outer).ok_or_else(|| {
                    wrong_kind(&format!("`{outer}`"), "something else", "an object")
                })?;
                set(&inside, inner, value);
                Ok(())
            }
        }
    }

    /// Takes a key out, and the object around it if nothing else is in there.
    fn remove(&self, key: &[&str]) {
        let object = self.object();
        match key {
            [] => {}
            [key] => object.get(key).into_iter().for_each(|found| found.remove()),
            [outer, inner, ..] => {
                let Some(inside) = object.object_value(outer) else {
                    return;
                };
                inside
                    .get(inner)
                    .into_iter()
                    .for_each(|found| found.remove());
                if inside.properties().is_empty() {
                    object
                        .get(outer)
                        .into_iter()
                        .for_each(|found| found.remove());
                }
            }
        }
    }
}

fn set(object: &CstObject, key: &str, value: &Value) {
    match object.get(key) {
        Some(property) => property.set_value(input(value)),
        None => {
            object.append(key, input(value));
        }
    }
}

fn same(text: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    value(text) == value(other)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(entries) => CstInputValue::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}
