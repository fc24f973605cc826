//! The stream of an agent as it comes over the wire.
//!
//! Decoded, a message takes several times the memory. When a thousand agents send their
//! configuration at once, each holds a few packed bytes until it is its turn.

use http::uri::PathAndQuery;
use prost::bytes::{Buf, Bytes};
use pvelens_proto::agent::v1::{WatchRequest, WatchResponse};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
    transport::Channel,
};
use tonic_prost::ProstEncoder;

use super::connection::MESSAGE_LIMIT_BYTES;

const WATCH: &str = "/pvelens.agent.v1.NodeAgentService/Watch";

/// Begins the stream of an agent; each item is a [`WatchResponse`], not decoded.
///
/// # Errors
/// What the agent answered instead.
pub(super) async fn watch(
    channel: Channel,
    request: WatchRequest,
) -> Result<Streaming<Bytes>, Status> {
    let mut client = Grpc::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let not_ready = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    client.ready().await.map_err(not_ready)?;
    let path = PathAndQuery::from_static(WATCH);
    let response = client.server_streaming(Request::new(request), path, Packed);
    Ok(response.await?.into_inner())
}

/// Reads an item of [`watch`].
///
/// # Errors
/// When it is no message.
pub(super) fn read(packed: Bytes) -> Result<WatchResponse, Status> {
    prost::Message::decode(packed).map_err(|error| Status::internal(error.to_string()))
}

/// Takes messages as they came.
struct Packed;

impl Codec for Packed {
    type Encode = WatchRequest;
    type Decode = Bytes;
    type Encoder = ProstEncoder<WatchRequest>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self
    }
}

impl Decoder for Packed {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_an_error() {
        assert!(read(Bytes::from_static(&[0x0a, 0xff])).is_err());
        assert!(read(Bytes::new()).unwrap().event.is_none());
    }
}
