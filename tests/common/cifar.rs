//! CIFAR-10's records as other programs write them, byte by byte: pickles of the Python version, and Parquet files with PNGs.

use refig::data::RECORD_BYTES;

/// A batch as Python pickles it: by version 2 (protocol 2), or by version 3 with the protocols 4 and 5.
pub fn pickle(records: &[u8], protocol: u8) -> Vec<u8> {
    let images = (records.len() / RECORD_BYTES) as u16;
    let labels = records.chunks_exact(RECORD_BYTES).map(|record| record[0]);
    let pixels: Vec<u8> = records
        .chunks_exact(RECORD_BYTES)
        .flat_map(|record| &record[1..])
        .copied()
        .collect();
    let mut bytes = vec![0x80, protocol];
    if protocol >= 4 {
        // A frame, whose size is only a hint.
        bytes.push(0x95);
        bytes.extend(9000u64.to_le_bytes());
    }
    bytes.extend(b"}");
    memoize(&mut bytes, protocol, 1);
    bytes.push(b'(');
    string(&mut bytes, protocol, b"batch_label");
    string(&mut bytes, protocol, b"testing batch 1 of 1");
    string(&mut bytes, protocol, b"labels");
    bytes.extend(b"]");
    memoize(&mut bytes, protocol, 2);
    bytes.push(b'(');
    for label in labels {
        bytes.extend([b'K', label]);
    }
    bytes.push(b'e');
    string(&mut bytes, protocol, b"data");
    let mut shape = vec![b'M'];
    shape.extend(images.to_le_bytes());
    shape.extend(b"M\x00\x0c\x86");
    let kind = |bytes: &mut Vec<u8>| {
        name(bytes, protocol, "numpy", "dtype");
        string(bytes, protocol, b"u1");
        bytes.extend(b"K\x00K\x01\x87R(K\x03");
        string(bytes, protocol, b"|");
        bytes.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
    };
    if protocol == 5 {
        name(&mut bytes, protocol, "numpy.core.numeric", "_frombuffer");
        bytes.extend(b"(\x96");
        bytes.extend((pixels.len() as u64).to_le_bytes());
        bytes.extend(&pixels);
        kind(&mut bytes);
        bytes.extend(&shape);
        bytes.extend(b"\x8c\x01CtR");
    } else {
        let module = "numpy.core.multiarray";
        name(&mut bytes, protocol, module, "_reconstruct");
        name(&mut bytes, protocol, "numpy", "ndarray");
        bytes.extend(b"K\x00\x85");
        string(&mut bytes, protocol, b"b");
        bytes.extend(b"\x87R(K\x01");
        bytes.extend(&shape);
        kind(&mut bytes);
        bytes.push(0x89);
        bytes.push(if protocol == 2 { b'T' } else { b'B' });
        bytes.extend((pixels.len() as u32).to_le_bytes());
        bytes.extend(&pixels);
        bytes.extend(b"tb");
    }
    bytes.extend(b"u.");
    bytes
}

fn memoize(bytes: &mut Vec<u8>, protocol: u8, number: u8) {
    match protocol {
        2 => bytes.extend([b'q', number]),
        _ => bytes.push(0x94),
    }
}

/// A string of Python 2, or bytes.
fn string(bytes: &mut Vec<u8>, protocol: u8, text: &[u8]) {
    bytes.extend([if protocol == 2 { b'U' } else { b'C' }, text.len() as u8]);
    bytes.extend(text);
}

fn name(bytes: &mut Vec<u8>, protocol: u8, module: &str, name: &str) {
    if protocol == 2 {
        bytes.extend(format!("c{module}\n{name}\n").bytes());
        return;
    }
    for text in [module, name] {
        bytes.extend([0x8c, text.len() as u8]);
        bytes.extend(text.bytes());
    }
    bytes.push(0x93);
}

/// A PNG of a record.
pub fn png(record: &[u8]) -> Vec<u8> {
    let pixels: Vec<u8> = (0..3 * 1024)
        .map(|at| record[1 + at % 3 * 1024 + at / 3])
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 32, 32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// How a Parquet file is written.
#[derive(Clone, Copy)]
pub struct Shape {
    pub rows_per_group: usize,
    /// The name of the column with the images.
    pub column: &'static str,
    pub snappy: bool,
    /// Whether images and labels are written as numbers of entries of a dictionary.
    pub dictionary: bool,
    /// The version of the pages.
    pub version: u8,
}

/// As Hugging Face writes it: `column {bytes, path}` and `label`.
pub fn parquet(rows: &[(Vec<u8>, i64)], shape: Shape) -> Vec<u8> {
    let mut file = b"PAR1".to_vec();
    let mut groups = Vec::new();
    for rows in rows.chunks(shape.rows_per_group) {
        let images = rows.iter().map(|(bytes, _)| {
            let mut value = (bytes.len() as u32).to_le_bytes().to_vec();
            value.extend(bytes);
            value
        });
        let labels = rows.iter().map(|(_, label)| label.to_le_bytes().to_vec());
        let columns = [
            column(
                &mut file,
                images.collect(),
                &[shape.column, "bytes"],
                2,
                shape,
            ),
            column(
                &mut file,
                Vec::new(),
                &[shape.column, "path"],
                2,
                Shape {
                    dictionary: false,
                    ..shape
                },
            ),
            column(&mut file, labels.collect(), &["label"], 1, shape),
        ];
        let mut group = Thrift::default();
        group.list(1, 12, columns.to_vec());
        group.int(2, 6, 0);
        group.int(3, 6, rows.len() as i64);
        groups.push(group.end());
    }
    let entry = |name: &str, kind: Option<i64>, children: i64, optional: bool| {
        let mut entry = Thrift::default();
        if let Some(kind) = kind {
            entry.int(1, 5, kind);
        }
        if optional {
            entry.int(3, 5, 1);
        }
        entry.bytes(4, name.as_bytes());
        if children > 0 {
            entry.int(5, 5, children);
        }
        entry.end()
    };
    let mut footer = Thrift::default();
    footer.int(1, 5, 1);
    let schema = vec![
        entry("schema", None, 2, false),
        entry(shape.column, None, 2, true),
        entry("bytes", Some(6), 0, true),
        entry("path", Some(6), 0, true),
        entry("label", Some(2), 0, true),
    ];
    footer.list(2, 12, schema);
    footer.int(3, 6, rows.len() as i64);
    footer.list(4, 12, groups);
    let footer = footer.end();
    file.extend(&footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(b"PAR1");
    file
}

/// Appends a column of plainly encoded values to `file` and gives its metadata. Without values, there are ten missing ones.
fn column(
    file: &mut Vec<u8>,
    values: Vec<Vec<u8>>,
    path: &[&str],
    level: u8,
    shape: Shape,
) -> Vec<u8> {
    let start = file.len();
    let missing = values.is_empty();
    let count = if missing { 10 } else { values.len() };
    // One run of the same level.
    let mut levels = varint((count as u64) << 1);
    levels.push(if missing { 1 } else { level });
    let mut encoded = values.concat();
    let mut data_start = start;
    if shape.dictionary {
        let mut entries = values.clone();
        entries.sort();
        entries.dedup();
        page(file, 2, entries.len(), &[], &entries.concat(), shape);
        data_start = file.len();
        // Groups of eight numbers of 16 bits.
        encoded = vec![16];
        encoded.extend(varint(((count.div_ceil(8) as u64) << 1) | 1));
        for value in &values {
            let place = entries.binary_search(value).unwrap() as u16;
            encoded.extend(place.to_le_bytes());
        }
        // The last group is padded.
        encoded.resize(encoded.len() + 14, 0);
    }
    let kind = if shape.version == 2 { 3 } else { 0 };
    page(file, kind, count, &levels, &encoded, shape);
    let size = (file.len() - start) as i64;
    let mut metadata = Thrift::default();
    metadata.int(1, 5, if path.len() == 1 { 2 } else { 6 });
    metadata.list(2, 5, vec![vec![0]]);
    let path = path.iter().map(|name| {
        let mut bytes = varint(name.len() as u64);
        bytes.extend(name.bytes());
        bytes
    });
    metadata.list(3, 8, path.collect());
    metadata.int(4, 5, i64::from(shape.snappy));
    metadata.int(5, 6, count as i64);
    metadata.int(6, 6, size);
    metadata.int(7, 6, size);
    metadata.int(9, 6, data_start as i64);
    if shape.dictionary {
        metadata.int(11, 6, start as i64);
    }
    let mut chunk = Thrift::default();
    chunk.int(2, 6, start as i64);
    chunk.structure(3, &metadata.end());
    chunk.end()
}

/// Appends a page: data of version 1 (0) or 2 (3), or a dictionary (2).
fn page(file: &mut Vec<u8>, kind: i64, count: usize, levels: &[u8], values: &[u8], shape: Shape) {
    let compress = |bytes: &[u8]| match shape.snappy {
        true => snappy(bytes),
        false => bytes.to_vec(),
    };
    let encoding = if shape.dictionary { 8 } else { 0 };
    let mut about = Thrift::default();
    about.int(1, 5, count as i64);
    let (field, whole, stored) = match kind {
        0 => {
            about.int(2, 5, encoding);
            about.int(3, 5, 3);
            about.int(4, 5, 3);
            let mut whole = (levels.len() as u32).to_le_bytes().to_vec();
            whole.extend(levels);
            whole.extend(values);
            let stored = compress(&whole);
            (5, whole.len(), stored)
        }
        2 => {
            about.int(2, 5, 0);
            (7, values.len(), compress(values))
        }
        _ => {
            about.int(2, 5, 0);
            about.int(3, 5, count as i64);
            about.int(4, 5, encoding);
            about.int(5, 5, levels.len() as i64);
            about.int(6, 5, 0);
            let mut stored = levels.to_vec();
            stored.extend(compress(values));
            (8, levels.len() + values.len(), stored)
        }
    };
    let mut header = Thrift::default();
    header.int(1, 5, kind);
    header.int(2, 5, whole as i64);
    header.int(3, 5, stored.len() as i64);
    header.structure(field, &about.end());
    file.extend(header.end());
    file.extend(stored);
}

/// Snappy's format, with literals alone.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut stored = varint(bytes.len() as u64);
    for literal in bytes.chunks(1 << 16) {
        stored.push(61 << 2);
        stored.extend(((literal.len() - 1) as u16).to_le_bytes());
        stored.extend(literal);
    }
    stored
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number as u8) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A structure in Thrift's compact protocol.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    last: u8,
}

impl Thrift {
    fn field(&mut self, id: u8, kind: u8) {
        self.bytes.push(((id - self.last) << 4) | kind);
        self.last = id;
    }

    fn int(&mut self, id: u8, kind: u8, value: i64) {
        self.field(id, kind);
        self.bytes
            .extend(varint(((value << 1) ^ (value >> 63)) as u64));
    }

    fn bytes(&mut self, id: u8, value: &[u8]) {
        self.field(id, 8);
        self.bytes.extend(varint(value.len() as u64));
        self.bytes.extend(value);
    }

    fn list(&mut self, id: u8, kind: u8, values: Vec<Vec<u8>>) {
        self.field(id, 9);
        self.bytes.push(0xf0 | kind);
        self.bytes.extend(varint(values.len() as u64));
        self.bytes.extend(values.concat());
    }

    fn structure(&mut self, id: u8, value: &[u8]) {
        self.field(id, 12);
        self.bytes.extend(value);
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}
