//! Addresses without what may be secret in them, for messages and records.

/// `text` with every address in it reduced to scheme, host, port and path: user, password, query string and fragment may
/// be secrets.
pub fn without_credentials(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece
            .find(|letter: char| letter.is_whitespace() || "\"'`<>".contains(letter))
            .unwrap_or(piece.len());
        let (address, rest) = piece.split_at(end);
        shown.push_str("://");
        shown.push_str(public(address));
        shown.push_str(rest);
    }
    shown
}

/// A word of a command line as [`without_credentials`] shows it. Its addresses may be mistyped: without the two slashes, or
/// without a scheme, whatever stands before an `@` goes, too.
pub fn word_without_credentials(word: &str) -> String {
    let word = without_credentials(word);
    let (head, rest) = word.split_at(scheme(&word));
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let secret = match authority.rfind('@') {
        // A password with a slash in it ends behind it.
        None if authority.contains(':') => rest.rfind('@'),
        at => at,
    };
    let rest = match secret {
        Some(at) => format!("…{}", &rest[at..]),
        None => rest.to_owned(),
    };
    // One slash alone begins a path.
    let address = secret.is_some() || head.len() > 1;
    let end = rest.find(['?', '#']).filter(|_| address);
    format!("{head}{}", &rest[..end.unwrap_or(rest.len())])
}

/// The length of a scheme and of slashes at the beginning of a word.
fn scheme(word: &str) -> usize {
    let end = word.find(|letter: char| !letter.is_ascii_alphanumeric());
    let scheme = end
        .filter(|&end| word[end..].starts_with(":/"))
        .map_or(0, |end| end + 1);
    let rest = word[scheme..].trim_start_matches('/');
    word.len() - rest.len()
}

/// The public part of an address that has lost its scheme.
fn public(address: &str) -> &str {
    let ends = ['/', '?', '#'];
    let authority = &address[..address.find(ends).unwrap_or(address.len())];
    let secret = match authority.rfind('@') {
        Some(at) => at + 1,
        // A password with one of these characters in it ends behind them.
        None if authority.contains(':') => address.rfind('@').map_or(0, |at| at + 1),
        None => 0,
    };
    let rest = &address[secret..];
    &rest[..rest.find(['?', '#']).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_port_and_path_stay() {
        for (text, shown) in [
            ("https://host/a.tar.gz", "https://host/a.tar.gz"),
            ("https://user:pw@host:8080/a", "https://host:8080/a"),
            ("http://token@host", "http://host"),
            ("https://user:p/w?#@host/a", "https://host/a"),
            ("https://user:p@w@host/a", "https://host/a"),
            ("https://host/a?token=pw#pw", "https://host/a"),
            ("https://host/gh/name@v1/a", "https://host/gh/name@v1/a"),
            ("http://[::1]:80/a", "http://[::1]:80/a"),
            (
                "`http://a:pw@b/c` and http://d?e=pw failed (x@y)",
                "`http://b/c` and http://d failed (x@y)",
            ),
            ("a folder/b@c", "a folder/b@c"),
        ] {
            assert_eq!(without_credentials(text), shown, "{text}");
        }
    }

    #[test]
    fn mistyped_addresses_lose_their_credentials_and_other_words_stay() {
        for (word, shown) in [
            ("u:PW@host/c", "…@host/c"),
            ("PW@host", "…@host"),
            ("http:/u:PW@host", "http:/…@host"),
            ("//u:PW@host/x", "//…@host/x"),
            ("u:P/W@host/c", "…@host/c"),
            ("u:P=W@host/c?token=PW", "…@host/c"),
            ("http:/host/c?token=PW", "http:/host/c"),
            ("https://u:PW@host/a?token=PW", "https://host/a"),
            ("results/a@b", "results/a@b"),
            ("/home/a/b#c", "/home/a/b#c"),
            ("seeds=[1, 2]", "seeds=[1, 2]"),
            ("cuda:1", "cuda:1"),
        ] {
            assert_eq!(word_without_credentials(word), shown, "{word}");
        }
    }
}
