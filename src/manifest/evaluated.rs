//! What an error on images that were not trained on is called: only that on the test set is a test error.

use super::file::Metric;
use crate::origin::DataName;

/// The images that networks are evaluated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evaluated {
    /// The test set.
    #[default]
    Test,
    /// The validation set, whose name the paper uses for ImageNet: the labels of its test set were never published.
    ValidationSet,
    /// Training images that were held out (`recipe.split`).
    Validation,
    /// Some networks on the one, some on the other.
    Both,
}

impl Evaluated {
    /// Of networks on a data set that are evaluated on held-out images or not.
    pub fn of(data: DataName, held_out: impl IntoIterator<Item = bool>) -> Self {
        let all: Vec<bool> = held_out.into_iter().collect();
        match (all.contains(&false), all.contains(&true)) {
            (_, false) if data == DataName::Imagenet => Evaluated::ValidationSet,
            (_, false) => Evaluated::Test,
            (false, true) => Evaluated::Validation,
            (true, true) => Evaluated::Both,
        }
    }

    /// `test`, `validation`.
    pub fn word(self) -> &'static str {
        match self {
            Evaluated::Test => "test",
            Evaluated::Validation | Evaluated::ValidationSet => "validation",
            Evaluated::Both => "test or validation",
        }
    }

    /// As [`Metric::text`], where the error is the test error on these images.
    pub fn metric(self, metric: Metric) -> &'static str {
        match (metric, self) {
            (Metric::TestError, Evaluated::Validation | Evaluated::ValidationSet) => {
                "validation error"
            }
            (Metric::TestError, Evaluated::Both) => "test or validation error",
            _ => metric.text(),
        }
    }

    /// A manifest's text, which calls the error a test error and does not know of a split set on the command line.
    pub fn reworded(self, text: &str) -> String {
        let test = Metric::TestError;
        text.replace(test.text(), self.metric(test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_error_on_the_test_set_is_a_test_error() {
        let called = |held_out: &[bool]| {
            let held_out = held_out.iter().copied();
            Evaluated::of(DataName::Cifar10, held_out).metric(Metric::TestError)
        };
        assert_eq!(called(&[]), "test error");
        assert_eq!(called(&[false, false]), "test error");
        assert_eq!(called(&[true, true]), "validation error");
        assert_eq!(called(&[true, false]), "test or validation error");
        let imagenet = Evaluated::of(DataName::Imagenet, [false]);
        assert_eq!(imagenet.metric(Metric::TestError), "validation error");
        let training = Evaluated::Validation.metric(Metric::TrainingError);
        assert_eq!(training, "training error");
        let title = "Table 6: test error on CIFAR-10";
        assert_eq!(Evaluated::Test.reworded(title), title);
        assert_eq!(
            Evaluated::Validation.reworded(title),
            "Table 6: validation error on CIFAR-10"
        );
    }
}
