//! Cursors: opaque to the host, JSON with a version to us.
//!
//! A cursor must suffice to go on after a crash and on another version of the connector; one that cannot be read is the
//! error `stale-cursor`, on which the host begins the partition again.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Error;

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    at: T,
}

/// Writes a cursor.
pub fn write<T: Serialize>(version: u32, at: &T) -> Result<String, Error> {
    serde_json::to_string(&Versioned { v: version, at })
        .map_err(|e| Error::internal("The cursor cannot be written.").detail(e.to_string()))
}

/// Reads a cursor of exactly this version; none is where a partition begins.
pub fn read<T: DeserializeOwned + Default>(version: u32, cursor: Option<&str>) -> Result<T, Error> {
    let Some(text) = cursor else { return Ok(T::default()) };
    match serde_json::from_str::<Versioned<T>>(text) {
        Ok(cursor) if cursor.v == version => Ok(cursor.at),
        _ => Err(Error::stale_cursor("The cursor is of another version of the connector: begin again.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_version_is_stale() {
        let text = write(2, &("token".to_owned(), 7_u32)).expect("writes");
        assert_eq!(read::<(String, u32)>(2, Some(&text)), Ok(("token".to_owned(), 7)));
        for bad in [Some("{}"), Some(""), Some(r#"{"v":1,"at":["x",1]}"#), Some(r#"{"v":2,"at":7}"#)] {
            assert_eq!(read::<(String, u32)>(2, bad).expect_err("stale").code, "stale-cursor", "{bad:?}");
        }
        assert_eq!(read::<(String, u32)>(2, None), Ok((String::new(), 0)));
    }
}
