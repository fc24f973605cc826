//! An agent of which nothing is left but its messages, and calls made of bytes.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::stream::{self, BoxStream, StreamExt};
use prost::bytes::{Buf, BufMut};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body as TonicBody,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Body, BoxFuture, Service, StdError, http},
    server::{Grpc, NamedService, ServerStreamingService},
    transport::Channel,
};

/// Answers with bytes that were kept; what it has none for, it never had.
#[derive(Debug, Clone)]
pub struct OldAgent {
    answers: Arc<BTreeMap<&'static str, Answer>>,
}

/// To one method.
#[derive(Debug, Clone)]
pub struct Answer {
    pub messages: Vec<Vec<u8>>,
    /// Whether the answer ends after them.
    pub ends: bool,
}

impl OldAgent {
    /// By the name of the method.
    #[must_use]
    pub fn new(answers: BTreeMap<&'static str, Answer>) -> Self {
        Self {
            answers: Arc::new(answers),
        }
    }
}

impl NamedService for OldAgent {
    const NAME: &'static str = "pvelens.agent.v1.NodeAgentService";
}

impl<B> Service<http::Request<B>> for OldAgent
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<TonicBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path();
        let method = path.rsplit('/').next().unwrap_or_default();
        let answer = self.answers.get(method).cloned();
        Box::pin(async move {
            Ok(match answer {
                None => Status::unimplemented("").into_http(),
                // On the wire one message is a stream of one.
                Some(answer) => {
                    Grpc::new(Raw)
                        .server_streaming(Replay(answer), request)
                        .await
                }
            })
        })
    }
}

struct Replay(Answer);

impl ServerStreamingService<Vec<u8>> for Replay {
    type Response = Vec<u8>;
    type ResponseStream = BoxStream<'static, Result<Vec<u8>, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, _: Request<Vec<u8>>) -> Self::Future {
        let Answer { messages, ends } = self.0.clone();
        let messages = stream::iter(messages.into_iter().map(Ok));
        let answer = if ends {
            messages.boxed()
        } else {
            messages.chain(stream::pending()).boxed()
        };
        Box::pin(async move { Ok(Response::new(answer)) })
    }
}

/// Calls a method of an agent with bytes.
///
/// # Errors
/// As the agent says.
pub async fn call(
    channel: &Channel,
    method: &str,
    request: Vec<u8>,
) -> Result<Streaming<Vec<u8>>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    let ready = client.ready().await;
    ready.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{}/{method}", OldAgent::NAME);
    let path = http::uri::PathAndQuery::try_from(path)
        .map_err(|error| Status::internal(error.to_string()))?;
    let answer = client
        .server_streaming(Request::new(request), path, Raw)
        .await?;
    Ok(answer.into_inner())
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(bytes.to_vec()))
    }
}
