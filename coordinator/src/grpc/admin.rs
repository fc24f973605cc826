//! `AdminService`: how the coordinator itself runs.

use std::{ops::RangeInclusive, time::Duration};

use pvelens_proto::v1::{
    GetLogLevelRequest, GetLogLevelResponse, SetLogLevelRequest, SetLogLevelResponse,
    admin_service_server::AdminService,
};
use tonic::{Request, Response, Status, async_trait};
use tracing::info;

use super::{Backend, caller::Caller, request, respond, status::invalid};
use crate::log::AUDIT;

/// A minute to a day: long enough to see something, not forgotten for ever.
const REVERT_AFTER_SECONDS: RangeInclusive<u32> = 60..=86_400;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl AdminService for Service {
    async fn get_log_level(
        &self,
        request: Request<GetLogLevelRequest>,
    ) -> Result<Response<GetLogLevelResponse>, Status> {
        let GetLogLevelRequest { render } = request.into_inner();
        let state = self.backend.log.state();
        respond(&self.backend.coordinator, render, |_| Ok(state)).await
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<SetLogLevelResponse>, Status> {
        let caller = Caller::of(&request)?;
        let SetLogLevelRequest {
            level,
            revert_after_seconds,
            render,
        } = request.into_inner();
        let level = request::log_level(level)?;
        if !REVERT_AFTER_SECONDS.contains(&revert_after_seconds) {
            return Err(invalid("revert_after_seconds", "not from 60 to 86400"));
        }
        let length = Duration::from_secs(revert_after_seconds.into());
        let now = (self.backend.clock)();
        let state = self.backend.log.set(level, length, now);
        info!(
            target: AUDIT,
            role = caller.role.name(),
            client = caller.name(),
            level = level.name(),
            seconds = revert_after_seconds,
            "set log level"
        );
        respond(&self.backend.coordinator, render, |_| Ok(state)).await
    }
}
