//! The verdict in a sentence. Only the paper's recipe on the paper's data can be called "reproduced"; at any other
//! scale, claims hold or do not hold at that scale.

use super::status::{Counts, Status};

/// Inputs of a headline.
pub(super) struct Headline<'a> {
    pub experiment: &'a str,
    pub profile: &'a str,
    /// Whether `--set` changed the profile's recipe.
    pub changed: bool,
    pub status: Status,
    pub errors: Counts,
    pub claims: Counts,
    /// Whether this is the paper's recipe on the paper's data.
    pub papers_scale: bool,
    pub synthetic: bool,
    pub seeds: usize,
    /// How many choices that the paper leaves open are read otherwise than by default.
    pub readings: usize,
    /// Why a figure without claims is incomplete; may be empty.
    pub reason: &'a str,
}

impl Headline<'_> {
    pub fn text(&self) -> String {
        let name = self.experiment;
        let profile = match self.changed {
            true => format!("{} as changed with --set", self.profile),
            false => self.profile.to_owned(),
        };
        let mut text = match self.status {
            _ if !self.reason.is_empty() => {
                let nothing = match self.claims.asked() {
                    0 => "claims nothing, and ",
                    _ => "",
                };
                format!(
                    "{name} at profile {profile} {nothing}is not complete: {}",
                    self.reason
                )
            }
            Status::NothingClaimed => {
                format!(
                    "{name} at profile {profile}: nothing is claimed, and all its runs are there"
                )
            }
            Status::NotComparable => {
                format!("{name} at profile {profile}: nothing is comparable, which is not a pass")
            }
            Status::Missing => format!(
                "{name} at profile {profile} is not complete: {}",
                self.so_far()
            ),
            status if self.papers_scale && status.fails() => {
                format!("{name} NOT reproduced: {}", self.failures())
            }
            _ if self.papers_scale => format!("{name} reproduced: {}", self.holding()),
            status if status.fails() => format!("{name}: {} at profile {profile}", self.failures()),
            _ => format!("{name}: {} at profile {profile}", self.holding()),
        };
        if self.status.holds() || self.status.fails() {
            text += &self.doubts();
        }
        if self.synthetic {
            text.push_str(" [SYNTHETIC images: says nothing about the paper]");
        }
        text
    }

    /// Counts with their noun in singular and plural.
    fn groups(&self) -> [(Counts, &'static str, &'static str); 2] {
        let errors = match self.papers_scale {
            true => ("final error of the paper", "final errors of the paper"),
            false => ("expected error", "expected errors"),
        };
        let claims = match self.papers_scale {
            true => ("claim of the paper", "claims of the paper"),
            false => ("claim", "claims"),
        };
        [
            (self.errors, errors.0, errors.1),
            (self.claims, claims.0, claims.1),
        ]
    }

    /// `18 of 18 final errors of the paper and 4 of 4 claims of the paper hold`.
    fn holding(&self) -> String {
        let each = self.each(|counts| counts.hold());
        let sum: usize = self.groups().iter().map(|(counts, ..)| counts.hold()).sum();
        format!("{each} {}", if sum == 1 { "holds" } else { "hold" })
    }

    fn failures(&self) -> String {
        let groups = self.groups();
        let failed: Vec<String> = groups
            .iter()
            .filter(|(counts, ..)| counts.fail > 0)
            .map(|(counts, one, many)| of(counts.fail, counts.asked(), one, many))
            .collect();
        let sum: usize = groups.iter().map(|(counts, ..)| counts.fail).sum();
        let verb = if sum == 1 { "does" } else { "do" };
        format!("{} {verb} NOT hold", failed.join(" and "))
    }

    /// `of 18 final errors 4 hold and 14 lack runs; of 3 claims 3 lack runs`.
    fn so_far(&self) -> String {
        let groups = self.groups();
        let each: Vec<String> = groups
            .iter()
            .filter(|(counts, ..)| counts.asked() > 0)
            .map(|(counts, one, many)| {
                let mut parts = Vec::new();
                for (count, singular, plural) in [
                    (counts.hold(), "holds", "hold"),
                    (counts.missing, "lacks runs", "lack runs"),
                ] {
                    if count > 0 {
                        let verb = if count == 1 { singular } else { plural };
                        parts.push(format!("{count} {verb}"));
                    }
                }
                match (counts.asked(), counts.missing) {
                    (1, 1) => format!("the one {one} lacks runs"),
                    (2, 2) => format!("both {many} lack runs"),
                    (asked, missing) if asked == missing => format!("all {asked} {many} lack runs"),
                    (1, _) => format!(
                        "the one {one} {}",
                        parts.join(" and ").replacen("1 ", "", 1)
                    ),
                    (asked, _) => format!("of {asked} {many} {}", parts.join(" and ")),
                }
            })
            .collect();
        each.join("; ")
    }

    fn each(&self, count: impl Fn(&Counts) -> usize) -> String {
        let groups = self.groups();
        let each: Vec<String> = groups
            .iter()
            .filter(|(counts, ..)| counts.asked() > 0)
            .map(|(counts, one, many)| of(count(counts), counts.asked(), one, many))
            .collect();
        each.join(" and ")
    }

    /// Qualifications: noise, margins, a single seed, another reading.
    fn doubts(&self) -> String {
        let mut doubts = Vec::new();
        let (errors, claims) = (&self.errors, &self.claims);
        if claims.pass_within_noise > 0 {
            doubts.push(format!("{} within the noise", claims.pass_within_noise));
        }
        if claims.pass_by_margin > 0 {
            doubts.push(format!("{} only by its margin", claims.pass_by_margin));
        }
        if errors.better > 0 {
            doubts.push(format!("{} better than expected", errors.better));
        }
        if self.seeds == 1 {
            doubts.push("one seed".into());
        }
        // At other scales, nothing is said of the paper.
        if self.papers_scale && self.readings > 0 {
            let choices = match self.readings {
                1 => "a choice".to_owned(),
                several => format!("{several} choices"),
            };
            doubts.push(format!(
                "with another reading of {choices} that the paper leaves open"
            ));
        }
        match doubts.is_empty() {
            true => String::new(),
            false => format!(" ({})", doubts.join(", ")),
        }
    }
}

/// `3 of 4 claims`.
fn of(count: usize, asked: usize, one: &str, many: &str) -> String {
    format!("{count} of {asked} {}", if asked == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headline(errors: Counts, claims: Counts, papers_scale: bool) -> Headline<'static> {
        let status = match (errors.fail + claims.fail, errors.missing + claims.missing) {
            (0, 0) => Status::Pass,
            (0, _) => Status::Missing,
            _ => Status::Fail,
        };
        Headline {
            experiment: "fig6",
            profile: if papers_scale { "paper" } else { "quick" },
            changed: false,
            status,
            errors,
            claims,
            papers_scale,
            synthetic: false,
            seeds: 3,
            readings: 0,
            reason: "",
        }
    }

    fn counts(pass: usize, fail: usize, missing: usize) -> Counts {
        Counts {
            pass,
            fail,
            missing,
            ..Counts::default()
        }
    }

    #[test]
    fn only_the_papers_scale_is_called_reproduced() {
        let whole = headline(counts(18, 0, 0), counts(4, 0, 0), true).text();
        assert_eq!(
            whole,
            "fig6 reproduced: 18 of 18 final errors of the paper and 4 of 4 claims of the paper hold"
        );
        let not = headline(counts(16, 2, 0), counts(3, 1, 0), true).text();
        assert_eq!(
            not,
            "fig6 NOT reproduced: 2 of 18 final errors of the paper and 1 of 4 claims of the paper do NOT hold"
        );
        let quick = headline(counts(0, 0, 0), counts(3, 0, 0), false).text();
        assert_eq!(quick, "fig6: 3 of 3 claims hold at profile quick");
        let fails = headline(counts(0, 0, 0), counts(2, 1, 0), false).text();
        assert_eq!(fails, "fig6: 1 of 3 claims does NOT hold at profile quick");
    }

    #[test]
    fn another_reading_is_named() {
        let mut read = headline(counts(18, 0, 0), counts(4, 0, 0), true);
        read.readings = 1;
        let text = read.text();
        assert!(
            text.ends_with("hold (with another reading of a choice that the paper leaves open)"),
            "{text}"
        );
        read.papers_scale = false;
        assert!(!read.text().contains("reading"), "{}", read.text());
    }

    #[test]
    fn what_was_changed_is_not_the_profile() {
        let mut changed = headline(counts(0, 0, 0), counts(3, 0, 0), false);
        changed.changed = true;
        assert_eq!(
            changed.text(),
            "fig6: 3 of 3 claims hold at profile quick as changed with --set"
        );
        changed.status = Status::NotComparable;
        assert!(
            changed
                .text()
                .starts_with("fig6 at profile quick as changed with --set: ")
        );
    }

    #[test]
    fn missing_runs_are_named_next_to_what_holds() {
        let some = headline(counts(4, 0, 14), counts(0, 0, 3), true).text();
        assert_eq!(
            some,
            "fig6 at profile paper is not complete: of 18 final errors of the paper 4 hold and 14 lack runs; \
             all 3 claims of the paper lack runs"
        );
        let none = headline(counts(0, 0, 0), counts(0, 0, 2), true).text();
        assert_eq!(
            none,
            "fig6 at profile paper is not complete: both claims of the paper lack runs"
        );
    }

    #[test]
    fn claims_about_layers_alone_are_claims() {
        let mut computed = headline(counts(0, 0, 0), counts(1, 0, 0), true);
        computed.status = Status::Missing;
        computed.reason = "plain-20 seed 1 has not been run";
        let text = "fig6 at profile paper is not complete: plain-20 seed 1 has not been run";
        assert_eq!(computed.text(), text);
        computed.claims = Counts::default();
        let text = "fig6 at profile paper claims nothing, and is not complete: plain-20 seed 1 has not been run";
        assert_eq!(computed.text(), text);
    }

    #[test]
    fn doubts_follow_the_counts() {
        let claims = Counts {
            pass: 1,
            pass_within_noise: 1,
            pass_by_margin: 1,
            ..Counts::default()
        };
        let mut doubtful = headline(Counts::default(), claims, false);
        doubtful.seeds = 1;
        doubtful.synthetic = true;
        assert_eq!(
            doubtful.text(),
            "fig6: 3 of 3 claims hold at profile quick (1 within the noise, 1 only by its margin, one seed) \
             [SYNTHETIC images: says nothing about the paper]"
        );
    }
}
