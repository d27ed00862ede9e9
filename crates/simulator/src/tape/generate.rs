//! A made-up market: random walks with an opening gap, busy edges, quiet symbols, a few actions.
//!
//! Integer arithmetic throughout, so that a seed means the same market on every machine.

use model::session::Session;

use super::{Action, Instrument, Micros, Minute, Terms};
use crate::{GeneratedSource, seed::Dice};

/// A thousand years of sessions; only a guard against settings that mean nothing.
const SESSIONS_MAX: usize = 252_000;
/// Prices are quoted in hundredths of a cent.
const TICK: Micros = 100;
const CENT: Micros = 10_000;
/// Reverse splits keep prices above this in practice; the walk turns back here.
const PRICE_MIN: Micros = 100 * CENT;

/// What distinguishes one symbol from another.
struct Character {
    price: Micros,
    /// Typical change of a minute, in millionths of the price.
    change_ppm: i64,
    /// Shares of a minute at noon.
    shares: i64,
    /// Probability of a trade in a minute, per mille.
    activity_permille: i64,
}

/// Makes all symbols of `source`; each depends only on the seed and its own index.
pub(super) fn instruments(source: &GeneratedSource) -> Vec<Instrument> {
    let sessions: Vec<Session> = Session::between(source.first_date, chrono::NaiveDate::MAX)
        .take(usize::try_from(source.sessions).unwrap_or(SESSIONS_MAX).min(SESSIONS_MAX))
        .collect();
    (0..source.symbols)
        .map(|index| {
            let named = usize::try_from(index).ok().and_then(|index| source.names.get(index));
            let symbol = named.cloned().unwrap_or_else(|| made_up_symbol(index));
            instrument(source.seed, index, &symbol, &sessions)
        })
        .collect()
}

fn instrument(seed: u64, index: u32, symbol: &str, sessions: &[Session]) -> Instrument {
    let mut dice = Dice::new(seed, &[0x7461_7065, u64::from(index)]);
    let character = character(&mut dice, index);
    let actions = actions(&mut dice, index, sessions);
    let mut price = character.price;
    let mut minutes = Vec::new();
    for session in sessions {
        // The opening gap: up to one percent either way.
        price += price / 10_000 * dice.between(-100, 100);
        for action in actions.iter().filter(|action| action.ex_date == session.date) {
            price = match action.terms {
                Terms::Split { new, old } => price / new * old,
                Terms::Dividend(amount) => price - amount,
            };
        }
        price = on_tick(price);
        price = day(&mut dice, &character, session, price, &mut minutes);
    }
    let mic = match index % 3 {
        0 => "XNAS",
        1 => "XNYS",
        _ => "ARCX",
    };
    let mut instrument = Instrument::new(symbol, mic, &minutes);
    instrument.name = Some(format!("Simulated {symbol}"));
    instrument.actions = actions;
    instrument
}

fn character(dice: &mut Dice, index: u32) -> Character {
    let is_quiet = index % 6 == 4;
    Character {
        price: on_tick(dice.between(500, 60_000) * CENT),
        change_ppm: dice.between(150, 900),
        shares: if is_quiet { dice.between(20, 200) } else { dice.between(500, 60_000) },
        activity_permille: if is_quiet { dice.between(150, 500) } else { dice.between(970, 1_000) },
    }
}

/// Adds the minutes of a session and returns the last price.
fn day(
    dice: &mut Dice,
    character: &Character,
    session: &Session,
    open: Micros,
    minutes: &mut Vec<Minute>,
) -> Micros {
    let count = (session.close - session.open).num_minutes();
    let mut price = open;
    for offset in 0..count {
        let trades = dice.between(1, 1_000) <= character.activity_permille;
        // A day has at least its opening trade, or the symbol would have no end-of-day row.
        if !trades && offset != 0 {
            continue;
        }
        let step = (price / 1_000_000).max(1) * character.change_ppm;
        // Between two minutes the price moves a little, within one it moves more.
        let open = on_tick(price + dice.between(-step, step) / 4);
        let close = on_tick(open + dice.between(-step, step));
        let high = on_tick(open.max(close) + dice.between(0, step) / 2);
        let low = on_tick(open.min(close) - dice.between(0, step) / 2);
        // From 1 at noon to 5 at the edges: the square of the distance from the middle.
        let distance = (2 * offset - count).abs() * 1_000 / count.max(1);
        let busy = 1_000 + 4 * distance * distance / 1_000;
        let shares = character.shares * busy / 1_000 * dice.between(300, 1_700) / 1_000;
        minutes.push(Minute {
            ts: session.open.timestamp() + offset * 60,
            open,
            high: high.max(open).max(close),
            low: low.min(open).min(close),
            close,
            volume: shares * 10_000,
        });
        price = close;
    }
    price
}

/// Most prices are whole cents, some have four decimals, none is below [`PRICE_MIN`].
fn on_tick(price: Micros) -> Micros {
    let tick = if price / TICK % 7 == 0 { TICK } else { CENT };
    (price / tick * tick).max(PRICE_MIN)
}

fn actions(dice: &mut Dice, index: u32, sessions: &[Session]) -> Vec<Action> {
    let mut actions = Vec::new();
    let Some(last) = sessions.len().checked_sub(1).filter(|last| *last != 0) else {
        return actions;
    };
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    let mut pick = || {
        let session = usize::try_from(dice.between(1, last)).unwrap_or(1);
        (sessions[session].date, dice.between(0, 3))
    };
    if index % 23 == 3 {
        let (ex_date, draw) = pick();
        let (new, old) = [(2, 1), (4, 1), (3, 2), (1, 10)]
            .get(usize::try_from(draw).unwrap_or(0))
            .copied()
            .unwrap_or((2, 1));
        actions.push(Action { ex_date, terms: Terms::Split { new, old } });
    }
    if index % 11 == 5 {
        let (ex_date, draw) = pick();
        actions.push(Action { ex_date, terms: Terms::Dividend((5 + 11 * draw) * CENT) });
    }
    actions
}

/// `AAAA`, `AAAB`, …; every 50th is a share class, which the vendor writes with a hyphen.
fn made_up_symbol(index: u32) -> String {
    let letter = |place: u32| char::from(b'A' + u8::try_from(index / place % 26).unwrap_or(0));
    let mut symbol: String = [17_576, 676, 26, 1].into_iter().map(letter).collect();
    if index % 50 == 7 {
        symbol.push_str("-B");
    }
    symbol
}
