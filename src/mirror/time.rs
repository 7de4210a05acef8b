//! Moments, as documents of a mirror state them.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A moment, to the second; written as RFC 3339 has it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(u64);

impl Time {
    /// Of a clock. What is before 1970 is taken for that.
    pub fn of(time: SystemTime) -> Self {
        Time(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    /// So many days later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Time(self.0.saturating_add(DAY.as_secs() * u64::from(days)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Later than RFC 3339 can say is its last moment.
        let last = Duration::from_secs(253_402_300_799);
        let time = UNIX_EPOCH + Duration::from_secs(self.0).min(last);
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_rfc3339(text).map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Time::of(time))
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.to_string()
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_and_read() {
        let time: Time = "2026-11-23T05:40:12Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-23T05:40:12Z");
        assert_eq!(time.plus_days(30).to_string(), "2026-12-23T05:40:12Z");
        assert_eq!(Time(u64::MAX).plus_days(u32::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Time::of(UNIX_EPOCH - DAY), Time(0));
        for wrong in ["", "now", "2026-13-01T00:00:00Z", "2026-11-23", "\"2026"] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong}");
        }
    }
}
