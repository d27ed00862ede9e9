//! The doctor: reaches everything the settings name and says what is wrong and how to mend it.
//!
//! Every check is one [`Finding`]. A check that fails never ends the others: whoever sets a
//! pipeline up wants to see all that is missing at once.

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use model::{Clock, ErrorKind};
use secrets::Redactor;

use crate::{commands::Setup, failure::Failure};

mod folder;
mod scopes;
mod stores;
mod topic;
mod vendor;

/// Longest wait for one check: longer than any client waits for a service that is alive.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// From this difference on, services reject signed requests soon, and files look too old or too
/// young to upkeep.
const SKEW_WARNED: TimeDelta = TimeDelta::minutes(5);

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    /// It works, and something should be looked at.
    Warning,
    Failed(ErrorKind),
    /// Not tried, because what it needs failed before.
    Skipped,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was looked at: a service of the pipeline.
    pub(crate) service: &'static str,
    /// What was tried.
    pub(crate) check: &'static str,
    pub(crate) outcome: Outcome,
    /// What was found, or why it failed; no secret in it.
    pub(crate) detail: String,
    /// What an operator can do; empty when nothing has to be done.
    pub(crate) remedy: String,
}

/// What a check says when it succeeds: a line, and what should be looked at all the same.
#[derive(Debug, Default)]
pub(crate) struct Report {
    detail: String,
    warning: Option<String>,
}

impl Report {
    fn ok(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), warning: None }
    }

    fn warn(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { detail: detail.into(), warning: Some(remedy.into()) }
    }
}

/// Runs checks one after the other and keeps what they find.
pub(crate) struct Doctor {
    clock: Arc<dyn Clock>,
    redactor: Redactor,
    findings: Vec<Finding>,
}

impl Doctor {
    /// Looks at everything the settings name. `observe` hears of each service before its checks.
    ///
    /// # Errors
    /// The settings are wrong, or there cannot be a data folder.
    pub(crate) async fn examine(
        setup: Setup,
        mut observe: impl FnMut(&str),
    ) -> Result<Vec<Finding>, Failure> {
        let mut doctor = Self {
            clock: Arc::clone(&setup.clock),
            redactor: setup.redactor.clone(),
            findings: Vec::new(),
        };
        observe("secrets");
        if !scopes::examine(&mut doctor, &setup).await {
            for (service, check) in [
                ("data folder", "write"),
                ("vendor", "answer"),
                ("topic", "reach"),
                ("landing", "list"),
                ("lake", "list"),
            ] {
                doctor.skip(service, &[check], "reading what the settings refer to");
            }
            return Ok(doctor.findings);
        }
        let bench = &setup.resolve().await?.open_untried()?;
        observe("data folder");
        folder::examine(&mut doctor, bench).await;
        observe("vendor");
        vendor::examine(&mut doctor, bench).await;
        observe("topic");
        topic::examine(&mut doctor, bench).await;
        observe("stores");
        stores::examine(&mut doctor, bench).await;
        Ok(doctor.findings)
    }

    /// Runs one check, within [`ANSWER_MAX`]; returns whether it succeeded.
    ///
    /// `remedy` is what to do when it fails, on top of what the failure itself says.
    async fn check(
        &mut self,
        service: &'static str,
        check: &'static str,
        remedy: &str,
        work: impl Future<Output = Result<Report, Failure>>,
    ) -> bool {
        let answer = tokio::select! {
            biased;
            answer = Box::pin(work) => answer,
            () = self.clock.sleep(ANSWER_MAX) => Err(Failure::new(
                ErrorKind::Transient,
                anyhow::anyhow!("no answer within {} seconds", ANSWER_MAX.as_secs()),
            )),
        };
        let (outcome, detail, remedy) = match answer {
            Ok(Report { detail, warning: None }) => (Outcome::Ok, detail, String::new()),
            Ok(Report { detail, warning: Some(remedy) }) => (Outcome::Warning, detail, remedy),
            Err(failure) => {
                let cause = failure.in_one_line(&self.redactor);
                (Outcome::Failed(failure.kind_for_operator()), cause, remedy.to_owned())
            }
        };
        let detail = self.redactor.scrub(&detail).into_owned();
        self.findings.push(Finding { service, check, outcome, detail, remedy });
        !matches!(outcome, Outcome::Failed(_))
    }

    /// Notes checks that were not tried because `needed` failed.
    fn skip(&mut self, service: &'static str, checks: &[&'static str], needed: &str) {
        self.findings.extend(checks.iter().map(|check| Finding {
            service,
            check,
            outcome: Outcome::Skipped,
            detail: format!("not tried: {needed} failed"),
            remedy: String::new(),
        }));
    }
}

/// Returns the exit code: that of the first failure, as a command that met it would end.
pub(crate) fn exit_code(findings: &[Finding]) -> u8 {
    let failed = findings.iter().find_map(|finding| match finding.outcome {
        Outcome::Failed(kind) => Some(kind),
        _ => None,
    });
    failed.map_or(0, ErrorKind::exit_code)
}

/// Compares a service's clock with ours.
fn skew(theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Report {
    let skew = (theirs - ours).abs();
    // Services tell whole seconds, and the answer took a moment.
    let seconds = skew.num_seconds();
    if skew < SKEW_WARNED {
        Report::ok(format!("within {} s of this machine", seconds.max(1)))
    } else {
        Report::warn(
            format!("{seconds} s apart from this machine"),
            "set this machine's clock by NTP; signed requests are refused from 5 to 15 minutes on",
        )
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use model::{ErrorKind, clock::ManualClock};
    use secrets::{Redactor, Secret};

    use super::{Doctor, Finding, Outcome, Report, exit_code, skew};
    use crate::failure::Failure;

    fn doctor() -> Doctor {
        let clock = std::sync::Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        Doctor { clock, redactor: Redactor::default(), findings: Vec::new() }
    }

    #[tokio::test]
    async fn a_failed_check_keeps_its_cause_without_secrets_and_lets_the_others_go_on() {
        let mut doctor = doctor();
        doctor.redactor.register(&Secret::new("cnry-0123".to_owned()));
        let refused = async { Err(Failure::config("user cnry-0123 is unknown")) };
        assert!(!doctor.check("topic", "produce", "grant it", refused).await);
        assert!(doctor.check("lake", "list", "", async { Ok(Report::ok("3 objects")) }).await);
        doctor.skip("lake", &["create"], "list");
        let outcomes: Vec<Outcome> = doctor.findings.iter().map(|found| found.outcome).collect();
        let failed = Outcome::Failed(ErrorKind::Config);
        assert_eq!(outcomes, [failed, Outcome::Ok, Outcome::Skipped]);
        let Finding { detail, remedy, .. } = &doctor.findings[0];
        assert_eq!((detail.as_str(), remedy.as_str()), ("user [redacted] is unknown", "grant it"));
        assert_eq!(exit_code(&doctor.findings), 3);
        assert_eq!(exit_code(&doctor.findings[1..]), 0);
    }

    #[tokio::test]
    async fn a_service_that_never_answers_is_given_up() {
        let mut doctor = doctor();
        assert!(!doctor.check("vendor", "answer", "", std::future::pending()).await);
        assert_eq!(doctor.findings[0].outcome, Outcome::Failed(ErrorKind::Transient));
        assert!(doctor.findings[0].detail.contains("no answer"), "{:?}", doctor.findings);
    }

    #[test]
    fn a_clock_that_is_off_by_minutes_is_worth_a_warning() {
        let now = DateTime::UNIX_EPOCH;
        for (seconds, is_warned) in [(0, false), (-299, false), (300, true), (-86_400, true)] {
            let report = skew(now + TimeDelta::seconds(seconds), now);
            assert_eq!(report.warning.is_some(), is_warned, "{seconds} s: {report:?}");
        }
    }
}
