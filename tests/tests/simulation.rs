//! Random runs of the pair, held to what keeps it right (docs/ARCHITECTURE.md): whatever agents, authority, network
//! and clock do, no answer breaks it. A failing run names its seed; the same seed gives the same run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use leeward_tests::authority::{Authority, Plan, Seen};
use leeward_tests::pair::{Kind, Pair};
use leeward_tests::run::Answer;
use leeward_tests::target::{Connection, Given, Pending, Setup, Target, Who};
use leeward_tests::wire::{MODERN, Message};

const KEYS: u64 = 3;
const MAX_AGE_MS: u64 = 30_000;
const REVALIDATE_MS: u64 = 20_000;
const IF_ERROR_MS: u64 = 100_000;
/// The hard end of a trip: an answer may be this old when it arrives.
const TRIP_MS: u64 = 60_000;
const PEOPLE: [&str; 2] = ["ann", "ben"];
const STEPS: usize = 150;

/// Xorshift: the run is a function of the seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// What is true at the authority: a version per key, and how often each write was taken.
#[derive(Default)]
struct Truth {
    versions: BTreeMap<u64, u64>,
    writes: BTreeMap<u64, u32>,
    dice: u64,
    faulty: bool,
}

impl Truth {
    fn answer(&mut self, seen: &Seen) -> Plan {
        let arguments = &seen.params["arguments"];
        let key = arguments["key"].as_u64().unwrap_or_default();
        let version = self.versions.entry(key).or_default();
        if seen.name.as_deref() == Some("put_ticket") {
            *version += 1;
            *self
                .writes
                .entry(arguments["nonce"].as_u64().unwrap_or_default())
                .or_default() += 1;
        }
        let whose = seen
            .header("authorization")
            .unwrap_or_default()
            .trim_start_matches("Bearer ");
        let raw = format!(
            r#"{{"resultType":"complete","content":[{{"type":"text","text":"{key} {version} {whose}"}}]}}"#
        );
        let plan = Plan::result(&seen.id, &raw);
        let mut dice = Dice(self.dice | 1);
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if !self.faulty {
            return plan;
        }
        match dice.roll(12) {
            0 => Plan::Close,
            1 => Plan::Silence,
            2 => plan.cut(7),
            3 => Plan::empty(503),
            4 => plan.in_pieces(9),
            _ => plan,
        }
    }
}

struct Asked {
    pending: Pending,
    who: usize,
    key: u64,
    write: bool,
    given_up: bool,
    /// The newest version that this principal's finished writes had made when it asked.
    known: u64,
}

struct Simulation {
    seed: u64,
    pair: Pair,
    truth: Arc<Mutex<Truth>>,
    dice: Dice,
    connections: Vec<Connection>,
    asked: Vec<Asked>,
    /// Per person and key: the newest version made by a write that returned.
    own: BTreeMap<(usize, u64), u64>,
    /// Per key: since when each version is current.
    history: BTreeMap<u64, Vec<(u64, u64)>>,
    now: u64,
    /// Where the clock stood before it was moved last: an answer that has come is no older than this.
    before: u64,
    nonce: u64,
    public: bool,
    checked: usize,
    hits: usize,
}

impl Simulation {
    fn new(kind: Kind, seed: u64) -> Self {
        let public = seed.is_multiple_of(3);
        let scope = if public { "public" } else { "private" };
        let rule = format!(
            "cache;max-age={};stale-while-revalidate={};stale-if-error={};{scope}",
            MAX_AGE_MS / 1000,
            REVALIDATE_MS / 1000,
            IF_ERROR_MS / 1000
        );
        let setup = Setup::tools(&[("get_*", &rule)])
            .authority(Authority::modern())
            .with_credentials();
        let mut pair = Pair::open(kind, setup).expect("a sound configuration");
        let truth = Arc::new(Mutex::new(Truth {
            dice: seed,
            ..Truth::default()
        }));
        for tool in ["get_ticket", "put_ticket"] {
            let truth = truth.clone();
            let turn = move |seen: &Seen| truth.lock().expect("one thread").answer(seen);
            pair.authority().always("tools/call", Some(tool), Box::new(turn));
        }
        let connections = PEOPLE
            .iter()
            .map(|name| pair.connect(&Who::Principal(name), MODERN))
            .collect();
        for name in PEOPLE {
            pair.credential(
                name,
                Ok(Some(Given {
                    token: name,
                    identity: Some(name),
                })),
            );
        }
        Self {
            seed,
            pair,
            truth,
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            connections,
            asked: Vec::new(),
            own: BTreeMap::new(),
            history: BTreeMap::new(),
            now: 1_000_000,
            before: 1_000_000,
            nonce: 0,
            public,
            checked: 0,
            hits: 0,
        }
    }

    fn run(mut self) -> (usize, usize, String) {
        for _ in 0..STEPS {
            self.step();
            self.remember();
            self.check();
        }
        // The end: everything comes back, and everybody is told something.
        self.truth.lock().expect("one thread").faulty = false;
        self.pair.authority_comes_up();
        self.pair.authority().release();
        self.pair.settle();
        self.check();
        self.advance(2 * TRIP_MS);
        self.check();
        let lost: Vec<_> = self
            .asked
            .iter()
            .filter(|asked| !asked.given_up)
            .map(|asked| asked.pending)
            .collect();
        assert!(
            lost.is_empty(),
            "seed {}: {lost:?} never got an answer",
            self.seed
        );
        let stats = self.pair.replica().stats();
        assert_eq!((stats.flights, stats.waiters), (0, 0), "seed {}", self.seed);
        assert_eq!(self.pair.open_fetches(), 0, "seed {}", self.seed);
        let twice: Vec<_> = self
            .truth
            .lock()
            .expect("one thread")
            .writes
            .iter()
            .filter(|(_, n)| **n > 1)
            .map(|(nonce, _)| *nonce)
            .collect();
        assert!(
            twice.is_empty(),
            "seed {}: writes sent twice: {twice:?}",
            self.seed
        );
        assert!(
            self.pair.authority().complaints().is_empty(),
            "seed {}: {:?}",
            self.seed,
            self.pair.authority().complaints()
        );
        (self.checked, self.hits, format!("{:?}", self.pair.transcript()))
    }

    fn step(&mut self) {
        self.before = self.now;
        match self.dice.roll(20) {
            0..=7 => self.ask(false),
            8..=9 => self.ask(true),
            10..=12 => {
                let ms = [1, 500, 9_000, 31_000, 61_000][usize::try_from(self.dice.roll(5)).unwrap_or(0)];
                self.advance(ms);
            }
            13 if self.dice.roll(2) == 0 => self.pair.authority().hold(),
            13 => self.pair.authority().hold_tool("get_ticket"),
            14..=15 => self.pair.authority().release(),
            16 => self.pair.authority_goes_down(),
            17 => self.pair.authority_comes_up(),
            18 => {
                let mut truth = self.truth.lock().expect("one thread");
                truth.faulty = !truth.faulty;
            }
            _ => self.give_up(),
        }
        self.pair.settle();
    }

    fn ask(&mut self, write: bool) {
        let who = usize::try_from(self.dice.roll(2)).unwrap_or(0);
        let key = self.dice.roll(KEYS);
        self.nonce += 1;
        let (tool, arguments) = if write {
            ("put_ticket", format!(r#"{{"key":{key},"nonce":{}}}"#, self.nonce))
        } else {
            ("get_ticket", format!(r#"{{"key":{key}}}"#))
        };
        let message = Message::call(tool, &arguments).id(&self.nonce.to_string());
        let known = self.own.get(&(who, key)).copied().unwrap_or(0);
        let pending = self.pair.start(self.connections[who], &message);
        self.asked.push(Asked {
            pending,
            who,
            key,
            write,
            given_up: false,
            known,
        });
    }

    fn give_up(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.roll(self.asked.len() as u64)).unwrap_or(0);
        let asked = &mut self.asked[at];
        if !asked.given_up {
            asked.given_up = true;
            self.pair.cancel(asked.pending);
        }
    }

    fn advance(&mut self, ms: u64) {
        self.before = self.now;
        self.pair.advance(ms);
        self.now += ms;
    }

    fn remember(&mut self) {
        let truth = self.truth.lock().expect("one thread");
        for (key, version) in &truth.versions {
            let history = self.history.entry(*key).or_default();
            if history.last().is_none_or(|(_, last)| last != version) {
                history.push((self.now, *version));
            }
        }
    }

    /// The version that was current at some time.
    fn version_at(&self, key: u64, at: u64) -> u64 {
        let history = self.history.get(&key).map(Vec::as_slice).unwrap_or_default();
        history
            .iter()
            .rev()
            .find(|(since, _)| *since <= at)
            .map_or(0, |(_, version)| *version)
    }

    /// Judges every answer that has come.
    fn check(&mut self) {
        let mut waiting = Vec::new();
        let mut done = Vec::new();
        for asked in std::mem::take(&mut self.asked) {
            if self.pair.is_answered(asked.pending) {
                done.push(asked)
            } else {
                waiting.push(asked)
            }
        }
        self.asked = waiting;
        for asked in done {
            let answer = Answer::new(self.pair.finish(asked.pending));
            self.checked += 1;
            if let Some(text) = answer.response["result"]["content"][0]["text"].as_str() {
                self.judge(&asked, &answer, text);
            } else {
                let error = &answer.response["error"]["data"]["code"];
                let told = [
                    "authority_unreachable",
                    "authority_timeout",
                    "unknown_outcome",
                    "closed",
                ];
                assert!(
                    told.iter().any(|code| error == code),
                    "seed {}: {answer:?}",
                    self.seed
                );
                assert!(
                    asked.write || error != "unknown_outcome",
                    "seed {}: a read's outcome is of no matter",
                    self.seed
                );
            }
        }
    }

    fn judge(&mut self, asked: &Asked, answer: &Answer, text: &str) {
        let seed = self.seed;
        let mut words = text.split(' ');
        let mut number = || {
            words
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .expect("a number")
        };
        let (key, version) = (number(), number());
        assert_eq!(key, asked.key, "seed {seed}: another key's answer");
        let whose = words.next().expect("a name");
        assert!(
            self.public || whose == PEOPLE[asked.who],
            "seed {seed}: {whose}'s answer for {}",
            PEOPLE[asked.who]
        );
        if asked.write {
            let own = self.own.entry((asked.who, key)).or_default();
            *own = version.max(*own);
            return;
        }
        assert!(
            version >= asked.known,
            "seed {seed}: contract 3: version {version}, though its own write made {}",
            asked.known
        );
        let status = answer.cache();
        self.hits += usize::from(status.hit);
        let window = match (status.hit, status.ttl, status.detail.is_some()) {
            (true, Some(ttl), false) if ttl < 0 => MAX_AGE_MS + REVALIDATE_MS,
            (true, _, true) => MAX_AGE_MS + IF_ERROR_MS,
            (true, ..) => MAX_AGE_MS,
            (false, ..) => 0,
        };
        let oldest = self.version_at(key, self.before.saturating_sub(window + TRIP_MS));
        assert!(
            version >= oldest,
            "seed {seed}: contract 1: version {version}, but {oldest} was there {window} ms ago: {answer:?}"
        );
        if let (true, Some(ttl)) = (status.hit, status.ttl) {
            assert!(
                ttl >= 0 || status.detail.is_some() || ttl * 1000 >= -(REVALIDATE_MS.cast_signed()),
                "seed {seed}: {answer:?}"
            );
        }
    }
}

fn simulate(kind: Kind) {
    let (mut checked, mut hits) = (0, 0);
    for seed in 1..=300 {
        let (answers, from_cache, _) = Simulation::new(kind, seed).run();
        checked += answers;
        hits += from_cache;
    }
    // A simulation in which nothing happens proves nothing.
    assert!(checked > 10_000 && hits > 1_000, "{checked} answers, {hits} hits");
}

#[test]
fn the_contract_holds_in_process() {
    simulate(Kind::InProcess);
}

#[test]
fn the_contract_holds_request_bound() {
    simulate(Kind::RequestBound);
}

#[test]
fn a_seed_gives_the_same_run() {
    for kind in [Kind::InProcess, Kind::RequestBound] {
        for seed in 1..=20 {
            assert_eq!(
                Simulation::new(kind, seed).run(),
                Simulation::new(kind, seed).run()
            );
        }
    }
}
