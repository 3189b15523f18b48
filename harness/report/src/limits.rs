//! Every cap of the reports, with its reason.

/// Longest text of a loader in a summary line or an XML attribute, in bytes. The whole of it stands in
/// the JSON reports.
pub const MAX_LINE: usize = 200;

/// Longest stderr in an XML report, in bytes: build servers refuse files of many megabytes.
pub const MAX_STDERR: usize = 4 << 10;

/// Failing groups that the terminal summary shows. Past that nobody reads on; the count is printed.
pub const MAX_GROUPS: usize = 40;

/// Version of the layout of `report.json` and of the stream. A reader refuses another one.
pub const SCHEMA: u32 = 1;

/// Reasons to skip that a summary lists: a loader that gives each vector its own would fill the screen.
pub const MAX_REASONS: usize = 8;
