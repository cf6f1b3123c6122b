//! TensorBoard event files: TFRecords (length, its checksum, bytes, their checksum) of `tensorflow.Event` messages in
//! protobuf wire format, reduced to what scalars need:
//!
//! ```text
//! Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//! Summary { repeated Value value = 1; }   Value { string tag = 1; float simple_value = 2; }
//! ```

use crate::record::{Evaluation, Iteration, Split, Views};

/// Seconds since 1970 of an RFC 3339 time; 0 if invalid.
pub(super) fn seconds(time: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time).map_or(0, |time| time.timestamp())
}

/// TensorBoard reads files with `tfevents` in their names, ordered by the seconds.
pub(super) fn file_name(begun: i64) -> String {
    format!("{PREFIX}{begun:010}{SUFFIX}")
}

const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".refig";

/// Whether a file of this name is from an export.
pub(super) fn is_event_file(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// The bytes of a run's file. Times are the start time plus the recorded seconds of training.
pub(super) fn events(
    begun: i64,
    held_out: bool,
    iterations: &[Iteration],
    evaluations: &[Evaluation],
) -> Vec<u8> {
    let begun = begun as f64;
    let mut bytes = Vec::new();
    let mut version = Message::default();
    version.double(1, begun);
    version.bytes(3, b"brain.Event:2");
    record(&mut bytes, &version.0);
    for row in iterations {
        let scalars = [
            ("training/loss".to_owned(), row.loss),
            ("training/error".to_owned(), row.error),
            ("training/learning_rate".to_owned(), row.learning_rate),
            ("training/epoch".to_owned(), row.epoch),
        ];
        let event = event(begun + row.seconds, row.iteration, &scalars);
        record(&mut bytes, &event.0);
    }
    for row in evaluations {
        let split = match row.split {
            Split::Test if held_out => "held_out",
            Split::Test => "test",
            Split::Train => "training_clean",
        };
        let statistics = match row.views {
            Views::Centre => row.statistics.name().to_owned(),
            views => format!("{}_{}", row.statistics.name(), views.name()),
        };
        let scalars = [
            (format!("{split}/error_{statistics}"), row.error),
            (format!("{split}/top5_error_{statistics}"), row.top5_error),
            (format!("{split}/loss_{statistics}"), row.loss),
        ];
        let passed = iterations
            .iter()
            .rev()
            .find(|iteration| iteration.iteration <= row.iteration)
            .map_or(0.0, |iteration| iteration.seconds);
        let event = event(begun + passed, row.iteration, &scalars);
        record(&mut bytes, &event.0);
    }
    bytes
}

fn event(time: f64, step: u64, scalars: &[(String, f64)]) -> Message {
    let mut summary = Message::default();
    for (tag, value) in scalars {
        let mut scalar = Message::default();
        scalar.bytes(1, tag.as_bytes());
        scalar.float(2, *value as f32);
        summary.bytes(1, &scalar.0);
    }
    let mut event = Message::default();
    event.double(1, time);
    event.integer(2, step);
    event.bytes(5, &summary.0);
    event
}

/// A protobuf message: fields in the order added.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

/// Appends a TFRecord.
fn record(bytes: &mut Vec<u8>, message: &[u8]) {
    let length = (message.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(message);
    bytes.extend(masked(message).to_le_bytes());
}

/// TFRecord's masked CRC-32C, safe for data that contains checksums.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_record_is_the_file_version() {
        let bytes = events(0, false, &[], &[]);
        // 9 bytes of time, 2 + 13 of the version.
        assert_eq!(bytes[..8], 24u64.to_le_bytes());
        assert_eq!(&bytes[12 + 9..12 + 24], b"\x1a\x0dbrain.Event:2");
        assert_eq!(bytes.len(), 8 + 4 + 24 + 4);
    }

    #[test]
    fn integers_are_varints() {
        let mut message = Message::default();
        message.integer(2, 300);
        assert_eq!(message.0, [0x10, 0xac, 0x02]);
    }
}
