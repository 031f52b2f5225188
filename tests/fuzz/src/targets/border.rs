//! Any sequence of border calls, with answers that fit, come late, come twice or were never asked for, and a clock
//! that goes both ways: everybody who waits is answered once, a write is sent once, nobody gets another's answer or
//! one from before the own write, limits hold, and in the end nothing is left under way. Where the replica obtains its grants
//! itself, errands are answered once, tokens go to whom they are for, and no secret is told.

mod answers;
mod model;
mod oauth;

use leeward::{Ctx, Input, Millis, OpId};

use crate::Target;
use crate::input::Bytes;
use model::Model;

/// See the module. The bytes: what kind of host, then a byte a call, with its choices behind it.
pub const TARGET: Target = Target {
    name: "border",
    run,
    seeds,
    max_bytes: 600,
};

/// Most calls of one run.
const MAX_CALLS: usize = 300;

fn seeds() -> Vec<Vec<u8>> {
    let calls: [&[u8]; 10] = [
        // A subscription whose stream breaks and is opened again; its agent reads too slowly for it.
        &[
            0, 0, 8, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0,
            3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 7, 6, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0,
            3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 11, 3, 0, 2, 0, 0,
        ],
        // A read, answered and asked again; a write between.
        &[
            0, 0, 0, 2, 3, 2, 3, 2, 3, 2, 3, 0, 0, 0, 1, 0, 2, 3, 2, 3, 2, 0, 0, 0, 2, 3, 2, 3, 2,
        ],
        // Two agents and a cancel.
        &[0, 0, 1, 0, 2, 2, 0, 3, 0, 2, 0, 3, 0, 6, 0, 2, 0, 3, 0, 2, 0],
        // Time.
        &[0, 0, 2, 3, 2, 3, 2, 3, 2, 7, 5, 0, 0, 2, 3, 2, 7, 7, 8, 1, 2],
        // Odd answers.
        &[0, 1, 2, 4, 0, 2, 4, 1, 2, 4, 5, 2, 4, 6, 2, 4, 9, 2, 3, 2],
        // Bound to requests; one goes away.
        &[
            1, 0, 0, 0, 0, 2, 0, 3, 0, 2, 0, 9, 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1,
        ],
        &[1, 1, 0, 2, 0, 3, 0, 2, 0, 9, 0, 0, 0, 2, 0, 7, 6, 2, 0, 3, 0],
        // Spurious answers.
        &[
            2, 0, 0, 2, 5, 0, 1, 5, 1, 2, 5, 2, 3, 5, 3, 1, 5, 4, 2, 3, 2, 3, 2,
        ],
        // A session: its stream, a subscription, a call, the end.
        &[
            4, 0, 9, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 0, 10, 0, 2, 0,
            0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 0, 12, 0, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 0, 13, 0, 2, 0,
            0, 3, 0, 2, 0, 0, 3, 0, 2, 0, 0, 11, 3, 0, 2, 0, 0, 0, 10, 0, 2, 0, 0, 0, 11, 0, 2, 0, 0,
        ],
        // Local items, and credentials.
        &[2, 10, 0, 0, 3, 2, 3, 2, 0, 0, 2, 3, 2, 3, 2, 11, 0, 0, 2],
    ];
    // A login whose token is renewed.
    let on = |times: usize| [2, 0, 0, 3, 0].repeat(times);
    let renewed = [8, 24].map(|kind| {
        [
            &[kind, 0, 0, 0][..],
            &on(60),
            &[14, 1, 0],
            &on(4),
            &[14, 4, 0, 1, 0],
            &on(45),
        ]
        .concat()
    });
    // The authority takes no token any more, time passes, the host has errands, and answers are odd or lost.
    let grants = [8, 24, 9, 12].into_iter().map(|kind| {
        let [first, then] = [on(25), on(12)];
        let write: &[u8] = &[1, 0];
        let odd: &[u8] = &[4, 65, 0, 2, 0, 0, 4, 2, 0, 2, 0, 0, 4, 9, 0];
        [
            &[kind][..],
            &[0, 0, 0],
            &first,
            &[14, 4, 0],
            write,
            &then,
            &[7, 8, 14, 1, 0, 14, 2, 1],
            &then,
            odd,
            &[14, 0, 0],
            &then,
            &[14, 3, 1],
            write,
            &then,
        ]
        .concat()
    });
    let long = (0..250_u8).map(|n| n.wrapping_mul(97) >> 2).collect();
    calls
        .iter()
        .map(|calls| calls.to_vec())
        .chain(renewed)
        .chain(grants)
        .chain([long])
        .collect()
}

fn run(data: &[u8]) {
    let kind = data.first().copied().unwrap_or_default();
    let first = play(data);
    if kind & 0x80 != 0 {
        assert!(first == play(data), "the same calls gave other outputs");
    }
}

/// Everything that the replica said.
fn play(data: &[u8]) -> Vec<String> {
    let mut bytes = Bytes(data);
    let kind = bytes.byte();
    let oauth = (kind & 8 != 0).then_some(kind & 16 != 0);
    let credentials = kind & 2 != 0 && oauth.is_none();
    let mut model = Model::open(kind & 1 != 0, credentials, kind & 5 == 4, oauth);
    for _ in 0..MAX_CALLS {
        if bytes.is_empty() {
            break;
        }
        call(&mut model, &mut bytes);
        model.check();
    }
    model.end();
    model.said
}

fn call(model: &mut Model, bytes: &mut Bytes<'_>) {
    let kinds = if model.issuer.is_some() { 15 } else { 14 };
    match bytes.below(kinds) {
        0 | 12 => {
            let (what, who) = (bytes.byte(), bytes.byte());
            model.ask(what, who, false);
        }
        1 => {
            let who = bytes.byte();
            model.write(who);
        }
        2 | 13 => {
            let (ctx, most) = (bytes.byte(), if bytes.byte() & 1 == 0 { usize::MAX } else { 1 });
            model.poll(ctx, most);
        }
        3 => {
            let which = bytes.byte();
            model.answer(which);
        }
        4 => {
            let (how, which) = (bytes.byte(), bytes.byte());
            model.answer_oddly(how, which);
        }
        5 => {
            let (what, op) = (bytes.byte(), bytes.byte());
            let ctx = Ctx(u64::from(bytes.byte() % 4));
            model.spurious(ctx, what, OpId(u64::from(op)));
        }
        6 => {
            let which = bytes.byte();
            model.cancel(which);
        }
        7 => {
            // All of the longest together stay far from the end of the clock, where no deadline is left.
            let ms = *bytes.pick(&[0, 1, 500, 2_500, 9_000, 31_000, 61_000, 200_000, 1 << 40]);
            model.advance(ms);
        }
        8 => {
            let ms = *bytes.pick(&[1, 5_000, 1_000_000, u64::MAX]);
            model.step_back(Millis(ms));
        }
        9 => {
            let which = bytes.byte();
            model.leave(which, true);
        }
        10 => {
            let which = bytes.byte();
            model.register(which);
        }
        11 => match bytes.byte() % 4 {
            0 => model.replica.invalidate(),
            1 => {
                let which = bytes.byte();
                model.leave(which, false);
            }
            2 => {
                let (what, who) = (bytes.byte(), bytes.byte());
                model.ask(what, who, true);
            }
            _ => {
                let which = bytes.byte();
                model.dropped(which);
            }
        },
        14 => {
            let (what, who) = (bytes.byte(), bytes.byte());
            model.errand(what, who);
        }
        _ => model.handle(Ctx::SHARED, Input::Tick),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else nothing of it would be tried.
    #[test]
    fn the_seeds_come_to_grants_and_errands() {
        let said: Vec<String> = seeds().iter().flat_map(|seed| play(seed)).collect();
        for (word, least) in [
            (
                r#""tools/call"), ("mcp-name", "put_ticket"), ("authorization", "Bearer secret-"#,
                1,
            ),
            ("Authorize {", 4),
            ("Sign {", 1),
            ("grant_type=refresh_token", 1),
            ("result: Ok(Some(Credential", 1),
            ("signed_out", 1),
        ] {
            let times = said.iter().filter(|line| line.contains(word)).count();
            assert!(times >= least, "{word}: {times}");
        }
    }
}
