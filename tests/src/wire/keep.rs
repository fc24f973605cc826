//! What a release leaves to those after it.

use std::path::Path;

use anyhow::{Context, Result};
use futures::FutureExt;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use pvelens_agent::{host::Host, service::NodeAgent, spool::Spool};
use pvelens_proto::agent::v1::{
    Cursor, DescribeRequest, NodeUpdate, WatchResponse,
    node_agent_service_server::NodeAgentService, watch_response::Event,
};
use tonic::Request;

use super::{DESCRIBED, DESCRIPTORS, FILLED, MESSAGES, SAMPLES, fill, payloads, write};
use crate::{fuzz::small_node_updates, small};

const SERVICE: &str = "pvelens.agent.v1.NodeAgentService";
const WATCH: &str = "pvelens.agent.v1.WatchResponse";

/// Writes the messages into the directory of a release, as that release knew them: by
/// the descriptors that are there, or else by those of today, which are written, too.
///
/// # Errors
/// When a file cannot be read or written.
pub fn keep(directory: &Path) -> Result<()> {
    let descriptors = directory.join(DESCRIPTORS);
    if !descriptors.exists() {
        write(&descriptors, pvelens_proto::FILE_DESCRIPTOR_SET)?;
    }
    let pool = DescriptorPool::decode(&*std::fs::read(&descriptors)?)?;
    let put = |kind: &str, name: &str, bytes: &[u8]| {
        write(&directory.join(kind).join(format!("{name}.binpb")), bytes)
    };
    // Fields that the release did not have are not kept.
    let known = |name: &str, bytes: &[u8]| -> Result<Vec<u8>> {
        let message = pool.get_message_by_name(name).context("no such message")?;
        let mut message = DynamicMessage::decode(message, bytes)?;
        forget_unknown(&mut message);
        Ok(message.encode_to_vec())
    };
    let updates = small_node_updates()?;
    // The last one is all of them together.
    let singles = updates.split_last().map_or(&[][..], |(_, singles)| singles);
    for (number, bytes) in (1..).zip(singles) {
        let mut update = NodeUpdate::decode(&**bytes)?;
        let collector = update
            .samples
            .first()
            .map(|sample| sample.collector.clone());
        update.cursor = Some(Cursor {
            epoch: "kept".to_owned(),
            sequence: number,
        });
        let response = WatchResponse {
            event: Some(Event::Update(update)),
        };
        let bytes = known(WATCH, &response.encode_to_vec())?;
        put(SAMPLES, &collector.unwrap_or_default(), &bytes)?;
    }
    let described = known("pvelens.agent.v1.DescribeResponse", &described()?)?;
    write(&directory.join(DESCRIBED), &described)?;
    let watch = pool.get_message_by_name(WATCH).context(WATCH)?;
    for payload in payloads(&pool)? {
        let filled = fill(&watch, payload.name());
        put(FILLED, payload.name(), &filled.encode_to_vec())?;
    }
    let service = pool.get_service_by_name(SERVICE).context(SERVICE)?;
    for method in service.methods() {
        for message in [method.input(), method.output()] {
            let filled = fill(&message, "heartbeat");
            put(MESSAGES, message.name(), &filled.encode_to_vec())?;
        }
    }
    Ok(())
}

fn described() -> Result<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures");
    let tree = small::tree(&fixtures, false)?;
    let host = std::sync::Arc::new(Host::open(tree.path())?);
    let spool = std::sync::Arc::new(Spool::new("kept".to_owned()));
    let agent = NodeAgent::new(host, spool);
    let answer = agent.describe(Request::new(DescribeRequest {}));
    let answer = answer
        .now_or_never()
        .context("it does not answer at once")?;
    Ok(answer?.into_inner().encode_to_vec())
}

fn forget_unknown(message: &mut DynamicMessage) {
    message.take_unknown_fields().for_each(drop);
    for (_, value) in message.fields_mut() {
        match value {
            prost_reflect::Value::Message(message) => forget_unknown(message),
            prost_reflect::Value::List(list) => {
                for value in list {
                    if let prost_reflect::Value::Message(message) = value {
                        forget_unknown(message);
                    }
                }
            }
            _ => {}
        }
    }
}
