//! The coordinator itself: access and log.

use pvelens_proto::v1 as message;

use super::{Carries, timestamp};
use crate::{
    answer::Access,
    log::{Level, LevelState},
};

impl Carries<Access> for message::GetAccessResponse {
    fn structured(access: Access) -> Self {
        let Access {
            role,
            methods,
            version,
            started_at,
        } = access;
        Self {
            role: message::Role::from(role).into(),
            methods,
            coordinator_version: version,
            started_at: Some(timestamp(started_at)),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: Access) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<LevelState> for message::GetLogLevelResponse {
    fn structured(state: LevelState) -> Self {
        Self {
            state: Some(state.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: LevelState) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<LevelState> for message::SetLogLevelResponse {
    fn structured(state: LevelState) -> Self {
        Self {
            state: Some(state.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: LevelState) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl From<LevelState> for message::LogLevelState {
    fn from(state: LevelState) -> Self {
        let LevelState {
            level,
            configured,
            reverts_at,
        } = state;
        Self {
            level: message::LogLevel::from(level).into(),
            configured_level: message::LogLevel::from(configured).into(),
            reverts_at: reverts_at.map(timestamp),
        }
    }
}

impl From<Level> for message::LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}
