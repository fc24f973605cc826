//! How fine values are kept, and for how long.

/// Series whose blocks are one: more would make reading one series dear, fewer
/// would make many small rows.
pub const PARTITION: u32 = 1024;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// Values as they came, and roll-ups of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// As they came, every ten seconds or seldom.
    Raw = 0,
    Minute = 1,
    FiveMinutes = 2,
    Hour = 3,
}

impl Tier {
    /// Finest first.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::FiveMinutes, Self::Hour];
    pub const ROLLED_UP: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// Seconds of one value: of a raw one, what is usual.
    #[must_use]
    pub const fn step_seconds(self) -> i64 {
        match self {
            Self::Raw => 10,
            Self::Minute => MINUTE,
            Self::FiveMinutes => 5 * MINUTE,
            Self::Hour => HOUR,
        }
    }

    /// Seconds of one block.
    #[must_use]
    pub const fn span_seconds(self) -> i64 {
        match self {
            Self::Raw | Self::Minute => HOUR,
            Self::FiveMinutes | Self::Hour => DAY,
        }
    }

    /// Begin of the span that has this second.
    #[must_use]
    pub const fn span_of(self, second: i64) -> i64 {
        second - second.rem_euclid(self.span_seconds())
    }

    /// Seconds for which values are kept, unless they take too much room.
    #[must_use]
    pub const fn kept_seconds(self) -> i64 {
        match self {
            Self::Raw => 2 * HOUR,
            Self::Minute => 48 * HOUR,
            Self::FiveMinutes => 35 * DAY,
            Self::Hour => 400 * DAY,
        }
    }

    /// In the store.
    pub(super) const fn number(self) -> i64 {
        self as i64
    }

    pub(super) fn numbered(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.number() == number)
    }
}
