//! Where CIFAR-10 can be downloaded: Hugging Face's Parquet files, the official archive, and mirrors of both.

use anyhow::Result;

use super::layout::Format;
use crate::address::{without_credentials, word_without_credentials};
use crate::data::download::{Archive, Wanted, has_tls, is_address};
use crate::exit::Exit;

/// Official address of CIFAR-10's binary version.
pub const OFFICIAL_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// Folder of the Parquet files that Hugging Face serves. The official host is slower by a factor of a hundred.
pub const PARQUET_URL: &str =
    "https://huggingface.co/datasets/uoft-cs/cifar10/resolve/main/plain_text/";

/// The official archive as published.
pub const OFFICIAL_ARCHIVE: Archive<'static> = Archive {
    bytes: 170_052_171,
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
};
/// The archive of the Python version as published.
const PYTHON_ARCHIVE: Archive<'static> = Archive {
    bytes: 170_498_071,
    md5: "c58f30108f718f92721af3b95e74349a",
};
/// Bytes of the two Parquet files. Only their images are verified, for these files may be written anew.
pub const PARQUET_BYTES: u64 = SHARDS[0].bytes + SHARDS[1].bytes;

/// A Parquet file: its name at its address, its name in the cache while it is needed, and its size.
pub(super) struct Shard {
    pub name: &'static str,
    pub local: &'static str,
    pub bytes: u64,
}

/// The training and the test images.
pub(super) const SHARDS: [Shard; 2] = [
    Shard {
        name: "train-00000-of-00001.parquet",
        local: "cifar-10-train.parquet",
        bytes: 119_705_255,
    },
    Shard {
        name: "test-00000-of-00001.parquet",
        local: "cifar-10-test.parquet",
        bytes: 23_940_850,
    },
];

/// An address to download from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Archive(Format, String),
    /// The folder of the Parquet files, up to its last slash, and the query that follows the names of the files.
    Parquet(String, String),
}

impl Address {
    /// An address that ends with a slash, with `plain_text` or with `.parquet` is that of the Parquet files; any other is that of
    /// an archive.
    pub fn of(address: &str) -> Self {
        let query = address.find(['?', '#']).unwrap_or(address.len());
        let (path, query) = address.split_at(query);
        let last = path.rfind('/').map_or(0, |slash| slash + 1);
        let parquet = |folder: &str| Address::Parquet(folder.to_owned(), query.to_owned());
        match &path[last..] {
            "" => parquet(path),
            "plain_text" => parquet(&format!("{path}/")),
            name if name.ends_with(".parquet") => parquet(&path[..last]),
            name if name == Format::Python.archive() => {
                Address::Archive(Format::Python, address.to_owned())
            }
            _ => Address::Archive(Format::Binary, address.to_owned()),
        }
    }

    /// The bytes to download.
    pub fn bytes(&self) -> u64 {
        match self {
            Address::Archive(format, _) => archive(*format).bytes,
            Address::Parquet(..) => PARQUET_BYTES,
        }
    }

    /// The address of one of the Parquet files.
    pub fn file(&self, shard: &Shard) -> String {
        match self {
            Address::Archive(_, address) => address.clone(),
            Address::Parquet(folder, query) => format!("{folder}{}{query}", shard.name),
        }
    }

    /// For messages.
    pub fn shown(&self) -> String {
        without_credentials(self.address())
    }

    /// Whether it is reached over TLS. Those that users name need not be.
    pub fn has_tls(&self) -> bool {
        has_tls(self.address())
    }

    fn address(&self) -> &str {
        match self {
            Address::Archive(_, address) | Address::Parquet(address, _) => address,
        }
    }
}

/// An archive as published.
pub(super) fn archive(format: Format) -> Archive<'static> {
    match format {
        Format::Binary => OFFICIAL_ARCHIVE,
        Format::Python => PYTHON_ARCHIVE,
    }
}

impl Shard {
    /// What is known of the file.
    pub fn wanted(&self) -> Wanted<'static> {
        Wanted {
            bytes: None,
            md5: None,
            likely: self.bytes,
        }
    }
}

/// The addresses in the order in which they are tried: the user's mirrors, then Hugging Face, then the official one, unless
/// the mirrors place these with the words `huggingface` and `official`.
///
/// # Errors
/// [`Exit::Usage`] if a mirror is not an http or https address.
pub(super) fn addresses(mirrors: &[String]) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    for mirror in mirrors {
        addresses.push(match mirror.as_str() {
            "official" => Address::of(OFFICIAL_URL),
            "huggingface" => Address::of(PARQUET_URL),
            mirror if is_address(mirror) => Address::of(mirror),
            mirror => {
                return Err(Exit::Usage.error(format!(
                    "mirror `{}` is not an http:// or https:// address of cifar-10-binary.tar.gz or of the folder of the Parquet files (ending with /), nor the word `huggingface` or `official`",
                    word_without_credentials(mirror)
                )));
            }
        });
    }
    for known in [PARQUET_URL, OFFICIAL_URL] {
        let known = Address::of(known);
        if !addresses.contains(&known) {
            addresses.push(known);
        }
    }
    Ok(addresses)
}

/// The bytes to download from the first of the addresses.
///
/// # Errors
/// [`Exit::Usage`] if a mirror is not an http or https address.
pub(in crate::data) fn first_bytes(mirrors: &[String]) -> Result<u64> {
    Ok(addresses(mirrors)?.first().map_or(0, Address::bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parquet(folder: &str, query: &str) -> Address {
        Address::Parquet(folder.into(), query.into())
    }

    #[test]
    fn an_address_tells_what_it_serves() {
        let binary = |address: &str| Address::Archive(Format::Binary, address.into());
        for (address, expected) in [
            (OFFICIAL_URL, binary(OFFICIAL_URL)),
            (PARQUET_URL, parquet(PARQUET_URL, "")),
            ("http://h/files/12345", binary("http://h/files/12345")),
            ("http://h/a.tar.gz?t=a/", binary("http://h/a.tar.gz?t=a/")),
            ("http://h/c/?t=1", parquet("http://h/c/", "?t=1")),
            ("http://h/plain_text", parquet("http://h/plain_text/", "")),
            ("http://h/c/train-0.parquet", parquet("http://h/c/", "")),
            (
                "http://h/cifar-10-python.tar.gz",
                Address::Archive(Format::Python, "http://h/cifar-10-python.tar.gz".into()),
            ),
        ] {
            assert_eq!(Address::of(address), expected, "{address}");
        }
        assert_eq!(PARQUET_BYTES, 143_646_105);
    }

    #[test]
    fn mirrors_come_first_and_words_place_the_known_addresses() {
        let order = |mirrors: &[&str]| -> Vec<String> {
            let mirrors: Vec<String> = mirrors.iter().map(ToString::to_string).collect();
            let found = addresses(&mirrors).unwrap();
            found.iter().map(Address::shown).collect()
        };
        assert_eq!(order(&[]), [PARQUET_URL, OFFICIAL_URL]);
        assert_eq!(
            order(&["http://h/a.tgz"]),
            ["http://h/a.tgz", PARQUET_URL, OFFICIAL_URL]
        );
        assert_eq!(
            order(&["official", "http://h/a.tgz"]),
            [OFFICIAL_URL, "http://h/a.tgz", PARQUET_URL]
        );
        assert_eq!(
            order(&["official", "huggingface"]),
            [OFFICIAL_URL, PARQUET_URL]
        );
        assert_eq!(first_bytes(&[]).unwrap(), PARQUET_BYTES);
        assert_eq!(first_bytes(&["official".into()]).unwrap(), 170_052_171);
        assert!(first_bytes(&["ftp://h/a".into()]).is_err());
        assert!(addresses(&[]).unwrap().iter().all(Address::has_tls));
        assert!(!Address::of("http://h/a.tgz").has_tls());
    }
}
