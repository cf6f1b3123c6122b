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
}
