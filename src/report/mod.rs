//! The same verdict values for a terminal, as JSON, as a page (HTML), for code hosts (SARIF) and build servers (JUnit).

pub mod accepted;
mod brought;
pub mod challenge;
pub mod count;
pub mod diagnosis;
pub mod diff;
pub mod drv_diff;
pub mod escape;
pub mod html;
pub mod junit;
pub mod mirror;
pub mod policy;
pub mod release;
pub mod sarif;
pub mod schema;
pub mod subject;
pub mod verify;

#[cfg(test)]
mod tests;
