#![no_std]

mod metric;

use metric::{of_arm, zeros, Results, Table, A, LABEL, PREDICTION, SHARED, TOKEN_LOGPROB};

const DESCRIPTION: &str = r#"@DESCRIPTION@"#;

export!(DESCRIPTION, eval);

const MOST: usize = 64;

fn eval(t: &Table, r: &mut Results) -> Result<(), &'static str> {
    let label = t.column(LABEL, SHARED).ok_or("no label")?;
    let topic = t.named("topic", SHARED).ok_or("no topic")?;
    for arm in 1..=t.arms().count() as u32 {
        let p = t.column(PREDICTION, arm).ok_or("no prediction")?;
        let lists = t.column(TOKEN_LOGPROB, arm).ok_or("no lists")?;
        let (mut right, mut n, mut tokens) = (0.0, 0.0, 0.0);
        for i in 0..t.rows {
            if label.valid(i) && p.valid(i) {
                n += 1.0;
                if label.i32(i) == p.i32(i) {
                    right += 1.0;
                }
            }
            if lists.valid(i) {
                tokens += lists.list(i).count() as f64;
            }
        }
        let rate: f64 = right / n;
        r.interval(of_arm("rate", arm), rate, rate - 1.0 / n, rate + 1.0 / n);
        r.scalar(of_arm("tokens", arm), tokens);
    }
    let (mut names, mut counts, mut found) = ([""; MOST], [0.0; MOST], 0);
    let (rows, all) = (zeros(MOST), zeros(3 * MOST));
    let lists = t.column(TOKEN_LOGPROB, A).ok_or("no lists")?;
    for i in 0..t.rows {
        if !topic.valid(i) {
            continue;
        }
        let name = topic.text(i);
        let at = names[..found].iter().position(|n| *n == name).unwrap_or(found);
        if at == MOST {
            return Err("too many topics");
        }
        if at == found {
            names[at] = name;
            found += 1;
        }
        rows[at] += 1.0;
        if !lists.valid(i) {
            continue;
        }
        for v in lists.list(i) {
            if counts[at] == 0.0 || v < all[3 * at + 1] {
                all[3 * at + 1] = v;
            }
            if counts[at] == 0.0 || v > all[3 * at + 2] {
                all[3 * at + 2] = v;
            }
            all[3 * at] += v;
            counts[at] += 1.0;
        }
    }
    for i in 0..found {
        all[3 * i] /= counts[i];
        if counts[i] == 0.0 {
            all[3 * i + 1] = f64::NAN;
            all[3 * i + 2] = f64::NAN;
        }
    }
    r.groups("topic_rows", &names[..found], &rows[..found]);
    r.group_intervals("topic_logprob", &names[..found], &all[..3 * found]);
    Ok(())
}
