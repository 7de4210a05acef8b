//! Rules about archives: members, their order and what is said of them.

use super::{Diagnosis, Passage};
use crate::diff::{Finding, Place};

/// What is said of a member, or of an archive as a whole.
pub(super) fn finding(_: &mut Diagnosis, _: &Place<'_>, _: &Finding) -> bool {
    false
}

/// Bytes that only index or check the others.
pub(super) fn range(_: &mut Diagnosis, _: &Place<'_>, _: &mut Passage<'_>) -> bool {
    false
}
