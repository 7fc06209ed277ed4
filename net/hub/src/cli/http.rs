//! One GET to the operator's endpoint of a hub.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_types::ChannelId;

use crate::error::Error;
use crate::proof::ProofRow;

/// A status waits for the sequencer, which a checkpoint may hold up.
const PATIENCE: Duration = Duration::from_secs(40);
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// The status code and the body of the answer to `GET path`.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or_else(strange)?, body.to_owned()))
}

/// What `/status` says.
pub(super) fn status(address: SocketAddr) -> Result<Value, Error> {
    value(address, "/status")?.ok_or_else(|| Error::AdminAnswer {
        address: address.to_string(),
        answer: "404".to_owned(),
    })
}

/// Rows of what lies inside a hub.
pub(super) fn rows<T: DeserializeOwned>(address: SocketAddr, path: &str) -> Result<T, Error> {
    let found = value(address, path)?.ok_or_else(|| Error::AdminAnswer {
        address: address.to_string(),
        answer: format!("404: it has no {path}"),
    })?;
    serde_json::from_value(found).map_err(|error| Error::Admin {
        address: address.to_string(),
        source: error.into(),
    })
}

/// One channel; `None` if the hub has none of this name.
pub(super) fn channel(address: SocketAddr, id: &ChannelId) -> Result<Option<Value>, Error> {
    value(address, &format!("/channel/{id}"))
}

/// The proof of one channel's state; `None` if the hub has none of this name.
pub(super) fn proof(address: SocketAddr, id: &ChannelId) -> Result<Option<ProofRow>, Error> {
    let value = value(address, &format!("/proof/{id}"))?;
    let row = value.map(serde_json::from_value).transpose();
    row.map_err(|error| Error::Admin {
        address: address.to_string(),
        source: error.into(),
    })
}

/// The JSON that `path` answers with; `None` if there is nothing of this name.
fn value(address: SocketAddr, path: &str) -> Result<Option<Value>, Error> {
    let failed = |source| Error::Admin {
        address: address.to_string(),
        source,
    };
    match get(address, path).map_err(failed)? {
        (200, body) => serde_json::from_str(&body)
            .map(Some)
            .map_err(|error| failed(error.into())),
        (404, _) => Ok(None),
        (code, body) => Err(Error::AdminAnswer {
            address: address.to_string(),
            answer: format!("{code}: {}", body.trim()),
        }),
    }
}
