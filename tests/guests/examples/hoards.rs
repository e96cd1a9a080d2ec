//! Holds more batches at once than the host keeps, and says how many answered that they have no room.

use wharfinger_guests::{Error, Guest, Outcome, http, passed};

struct Hoards;

impl Guest for Hoards {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        // A URL that is refused before anything is sent.
        let request = || http::Request { url: "nonsense".into(), ..wharfinger_guests::get(String::new()) };
        let batches: Vec<_> = (0..40).map(|_| http::Batch::new(&[request()], 1)).collect();
        let refused = batches
            .iter()
            .filter(|batch| matches!(batch.next(), Some((0, Err(e))) if e.code == "budget-exhausted"))
            .count();
        let ended = batches.iter().all(|batch| batch.next().is_none());
        drop(batches);
        let again = http::Batch::new(&[request()], 1).next();
        let room = matches!(again, Some((0, Err(e))) if e.code != "budget-exhausted");
        Ok(passed(format!("refused {refused}, ended {ended}, room afterwards {room}")))
    }
}

wharfinger_guests::export!(Hoards);
