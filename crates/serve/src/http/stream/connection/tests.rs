//! A client's place, step by step.

use super::*;

fn event(version: u64, index: u64) -> Arc<BarEvent> {
    let id = EventId { version, index };
    Arc::new(BarEvent { id, symbol: "A".to_owned(), json: "{}".to_owned() })
}

fn bars(after: u64, upto: u64, rows: u64) -> Step {
    let events = (1..=rows).map(|index| event(upto, index)).collect();
    Step::Bars { after, upto, events }
}

fn behind(version: u64) -> Place {
    Place::new(EventId::after_version(version), false)
}

fn queued(place: &Place) -> Vec<String> {
    let show = |item: &Item| match item {
        Item::Bar(bar) => bar.id.to_string(),
        Item::Reset(id) => format!("reset {id}"),
    };
    place.queue.iter().map(show).collect()
}

#[test]
fn a_step_that_follows_is_queued_once() {
    let mut place = behind(7);
    place.take(&bars(7, 8, 2));
    place.take(&bars(7, 8, 2));
    assert_eq!(queued(&place), ["8-1", "8-2"]);
    assert_eq!(place.position.to_string(), "9-0");
    assert!(!place.is_behind);
}

#[test]
fn a_step_that_covers_known_versions_adds_only_the_others() {
    let mut place = behind(8);
    let events = vec![event(8, 1), event(9, 1)];
    place.take(&Step::Bars { after: 7, upto: 9, events });
    assert_eq!(queued(&place), ["9-1"]);
}

#[test]
fn a_gap_is_noticed_even_when_the_step_is_empty() {
    let mut place = behind(7);
    place.take(&bars(9, 9, 0));
    assert!(place.is_behind);
    assert_eq!(queued(&place), [""; 0]);
    assert_eq!(place.position.to_string(), "8-0", "the place moves only with what was sent");
}

#[test]
fn the_hubs_first_step_changes_nothing_for_a_place_that_is_up_to_date() {
    let mut place = behind(7);
    place.take(&bars(7, 7, 0));
    assert!(!place.is_behind);
    assert_eq!(place.position.to_string(), "8-0");
}

#[test]
fn a_burst_resets_whoever_is_before_it() {
    let mut place = behind(7);
    place.take(&Step::Burst { upto: 9 });
    place.take(&Step::Burst { upto: 9 });
    assert_eq!(queued(&place), ["reset 10-0"]);
    place.take(&bars(9, 10, 1));
    assert_eq!(queued(&place), ["reset 10-0", "10-1"]);
}

#[test]
fn a_replaced_table_starts_everybody_anew() {
    let mut place = behind(70);
    place.take(&Step::Replaced { at: 1 });
    place.take(&bars(1, 2, 1));
    assert_eq!(queued(&place), ["reset 2-0", "2-1"]);
}
