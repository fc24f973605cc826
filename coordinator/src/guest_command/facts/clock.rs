//! Clock, updates and who is logged in.

facts! {
    /// The clock of a guest.
    pub struct Clock {
        /// It follows a server.
        pub synchronised: Option<bool>,
        /// A service for that is switched on.
        pub ntp_enabled: Option<bool>,
        /// How far it is from its server: positive = ahead. Of Windows only the size is
        /// sure, the sign is not.
        pub offset_seconds: Option<f64>,
        /// The server.
        pub source: Option<String>,
        pub stratum: Option<u32>,
        pub time_zone: Option<String>,
        /// Its time when it answered, since 1970.
        pub unix_nanoseconds: Option<i64>,
        /// The hardware clock runs in local time.
        pub rtc_in_local_time: Option<bool>,
        /// When it last heard of its server, as written.
        pub last_update: Option<String>,
    }

    /// Packages that wait to be installed.
    pub struct Updates {
        pub pending: Option<u32>,
        pub security: Option<u32>,
        pub held_back: Option<u32>,
        /// Security updates first.
        pub packages: Vec<String>,
        /// The flag of Debian and Ubuntu; false = there is no flag, which on other
        /// systems says nothing.
        pub reboot_required: Option<bool>,
    }

    /// One login.
    pub struct Session {
        pub user: String,
        pub terminal: Option<String>,
        pub from: Option<String>,
        /// As written, in the time zone of the guest.
        pub since: Option<String>,
        /// Since 1970.
        pub since_seconds: Option<i64>,
        /// As written: `old`, `00:12`.
        pub idle: Option<String>,
        /// Of Windows, which may translate it: `Active`, `Disc`.
        pub state: Option<String>,
    }
}
