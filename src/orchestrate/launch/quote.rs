//! Quotes words for a shell and for the options in a batch script: the only way for text to get into either.

/// A word that bash and sh take as it is: nothing in it is expanded, and it is one word.
pub fn quote(word: &str) -> String {
    // `A=b` may be an assignment, `--a=b` is none.
    let option = word.starts_with("--");
    let plain = |letter: char| {
        letter.is_ascii_alphanumeric() || "-_./:,+@".contains(letter) || (option && letter == '=')
    };
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Words for a shell, with spaces between.
pub fn quote_all(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

/// A line of a batch script with an option of sbatch, which reads quotes and backslashes in a way of its own and expands
/// nothing. Neither name nor value may hold control characters.
pub fn directive(option: &str, value: Option<&str>) -> String {
    let whole = match value {
        Some(value) => format!("--{option}={value}"),
        None => format!("--{option}"),
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:,+@=%&|[]*".contains(letter);
    match whole.chars().all(plain) {
        true => format!("#SBATCH {whole}"),
        false => {
            let escaped = whole.replace('\\', r"\\").replace('"', "\\\"");
            format!("#SBATCH \"{escaped}\"")
        }
    }
}

/// A path as sbatch's `--output` takes it: `%` begins a pattern.
///
/// # Errors
/// The path has a backslash, with which sbatch takes no patterns at all.
pub fn pattern(path: &str) -> Result<String, String> {
    match path.contains('\\') {
        true => Err(format!(
            "{path}: sbatch cannot write into a path with a backslash; name another folder with --results-dir"
        )),
        false => Ok(path.replace('%', "%%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_and_others_are_one_word() {
        assert_eq!(quote("/a/b-c_1.toml"), "/a/b-c_1.toml");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("A=b"), "'A=b'");
        assert_eq!(quote("--set=a.b=3"), "--set=a.b=3");
        assert_eq!(quote("--set=a b"), "'--set=a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("$(rm -rf ~)"), "'$(rm -rf ~)'");
        let words = ["a b".to_owned(), "c".to_owned()];
        assert_eq!(quote_all(&words), "'a b' c");
    }

    #[test]
    fn options_of_a_script_are_quoted_as_sbatch_reads_them() {
        assert_eq!(directive("requeue", None), "#SBATCH --requeue");
        assert_eq!(directive("array", Some("0-3")), "#SBATCH --array=0-3");
        assert_eq!(
            directive("comment", Some(r#"a "b" \ #c"#)),
            r##"#SBATCH "--comment=a \"b\" \\ #c""##
        );
        assert_eq!(pattern("/a%b"), Ok("/a%%b".to_owned()));
        assert!(pattern(r"/a\b").is_err());
    }
}
