//! JSON from elsewhere.

use serde::de::DeserializeOwned;

/// Reads a part of a document that was read as a whole; `place` says where in it the part is.
///
/// # Errors
/// What is wrong, as [`parse`] says it.
pub(crate) fn part<T: DeserializeOwned>(value: serde_json::Value, place: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { format!("{place}: {inner}") } else { format!("{place}.{path}: {inner}") }
    })
}

/// Reads one document.
///
/// # Errors
/// What is wrong, in words, with the place in the document (`versions[0].providers[2].url: invalid type: …`).
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { inner.to_string() } else { format!("{path}: {inner}") }
    })?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}
