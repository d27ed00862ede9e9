//! Which request is struck by which fault: a plan, its dice, and how far it has come.

use std::{collections::BTreeMap, time::Duration};

use crate::http::Message;

/// How long an outage lasts that the dice began. Longer than a client's own tries take.
const OUTAGE: Duration = Duration::from_secs(5);

/// An outage is worth this many other faults; the rate is divided by it.
const OUTAGE_RARER: f64 = 100.0;

/// One way to break a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The write is applied, and the client is told 500.
    AppliedThenError,
    /// The write is applied, and the client is told nothing.
    AppliedThenCut,
    /// The connection is cut before the store sees the request.
    CutBefore,
    /// The store asks for fewer requests, and has looked at nothing.
    SlowDown,
    /// A conditional write is told that it met another one, and nothing is written.
    ConflictWithoutWriting,
    /// The client is told 504, or nothing, and the write is applied some time later.
    DelayedPut,
    /// The body of an object ends before its length.
    TruncatedGet,
    /// Every request is cut for a time.
    Outage,
}

impl Fault {
    /// All that strike single requests. An outage is left out: it has to be asked for.
    pub const SINGLE: [Self; 7] = [
        Self::AppliedThenError,
        Self::AppliedThenCut,
        Self::CutBefore,
        Self::SlowDown,
        Self::ConflictWithoutWriting,
        Self::DelayedPut,
        Self::TruncatedGet,
    ];

    /// Returns the name by which arguments and counts call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AppliedThenError => "applied-then-500",
            Self::AppliedThenCut => "applied-then-cut",
            Self::CutBefore => "cut-before",
            Self::SlowDown => "503-slow-down",
            Self::ConflictWithoutWriting => "409-without-writing",
            Self::DelayedPut => "delayed-put",
            Self::TruncatedGet => "truncated-get",
            Self::Outage => "outage",
        }
    }

    /// Returns the fault of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::SINGLE.into_iter().chain([Self::Outage]).find(|fault| fault.name() == name)
    }

    /// Returns whether a request is one that this fault breaks.
    pub(super) fn strikes(self, request: &Message) -> bool {
        let method = request.method();
        match self {
            Self::AppliedThenError | Self::AppliedThenCut => !matches!(method, "GET" | "HEAD"),
            Self::CutBefore | Self::SlowDown | Self::Outage => true,
            Self::ConflictWithoutWriting => {
                let is_conditional = ["if-none-match", "if-match", "x-goog-if-generation-match"]
                    .iter()
                    .any(|name| request.header(name).is_some());
                method == "PUT" && is_conditional
            }
            Self::DelayedPut => method == "PUT",
            Self::TruncatedGet => method == "GET",
        }
    }
}

/// Which faults strike, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the dice begin with.
    pub seed: u64,
    /// The part of the requests that is struck, from 0 to 1.
    pub rate: f64,
    /// The faults to choose from.
    pub faults: Vec<Fault>,
    /// The proxy is quiet after this many faults.
    pub fires_max: u64,
    /// How much later a delayed write arrives.
    pub delay: Duration,
}

impl Plan {
    /// Creates a plan of the faults that strike single requests.
    #[must_use]
    pub fn new(seed: u64, rate: f64) -> Self {
        let delay = Duration::from_secs(3);
        Self { seed, rate, faults: Fault::SINGLE.to_vec(), fires_max: u64::MAX, delay }
    }

    /// Creates a plan of one fault that strikes whatever it can, at most `fires_max` times.
    #[must_use]
    pub fn always(fault: Fault, fires_max: u64) -> Self {
        Self { faults: vec![fault], fires_max, ..Self::new(0, 1.0) }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Pass,
    Strike(Fault),
    /// An outage is on.
    Cut,
}

/// The plan, and how far it has come.
#[derive(Debug)]
pub(super) struct State {
    pub(super) plan: Plan,
    dice: Dice,
    fires_left: u64,
    outage_until: Duration,
    pub(super) fired: BTreeMap<Fault, u64>,
}

impl State {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            dice: Dice(plan.seed),
            fires_left: plan.fires_max,
            plan,
            outage_until: Duration::ZERO,
            fired: BTreeMap::new(),
        }
    }

    pub(super) fn follow(&mut self, plan: Plan) {
        let fired = std::mem::take(&mut self.fired);
        *self = Self { fired, outage_until: self.outage_until, ..Self::new(plan) };
    }

    pub(super) fn begin_outage(&mut self, until: Duration) {
        self.outage_until = until;
        *self.fired.entry(Fault::Outage).or_default() += 1;
    }

    pub(super) fn decide(&mut self, request: &Message, now: Duration) -> Decision {
        if now < self.outage_until {
            return Decision::Cut;
        }
        let can: Vec<Fault> =
            self.plan.faults.iter().copied().filter(|fault| fault.strikes(request)).collect();
        if can.is_empty() || self.fires_left == 0 || self.plan.rate <= self.dice.fraction() {
            return Decision::Pass;
        }
        let fault = can[self.dice.below(can.len())];
        if fault == Fault::Outage {
            if OUTAGE_RARER.recip() <= self.dice.fraction() {
                return Decision::Pass;
            }
            self.begin_outage(now + OUTAGE);
        } else {
            *self.fired.entry(fault).or_default() += 1;
        }
        self.fires_left -= 1;
        Decision::Strike(fault)
    }

    /// Tosses a coin.
    pub(super) fn toss(&mut self) -> bool {
        self.dice.roll(2) == 0
    }

    /// A fault found nothing to break.
    pub(super) fn take_back(&mut self, fault: Fault) {
        self.fires_left = self.fires_left.saturating_add(1);
        if let Some(count) = self.fired.get_mut(&fault) {
            *count = count.saturating_sub(1);
        }
    }

    /// Every fault's count, also those that never struck.
    pub(super) fn json(&self) -> String {
        let count = |fault: Fault| self.fired.get(&fault).copied().unwrap_or_default();
        let all = Fault::SINGLE.into_iter().chain([Fault::Outage]);
        let members: Vec<_> =
            all.map(|fault| format!("\"{}\": {}", fault.name(), count(fault))).collect();
        format!("{{{}}}", members.join(", "))
    }
}

/// A small seeded generator; what a seed strikes must not depend on another package's version.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    /// Returns an index below `length`, which is not 0.
    fn below(&mut self, length: usize) -> usize {
        let sides = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.roll(sides)).unwrap_or_default()
    }

    /// Returns a number from 0 to below 1.
    fn fraction(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}
