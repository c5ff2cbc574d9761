//! How likely chance alone makes two samples differ as much.

/// With fewer runs a side, not even the clearest difference is unlikely enough: of 3 and 3 runs, one arrangement in ten is an extreme one.
const RUNS_MIN: usize = 4;
/// Above so many runs in all, the approximation is as good as counting.
const EXACT_MAX: usize = 40;

/// The two-sided probability of the Mann-Whitney U test that samples of one distribution lie at least as far apart as these (Mann and Whitney
/// 1947); `None` when there are too few to say. Exact for small samples, with ties counted as half (which errs towards "no difference"),
/// by the normal approximation with correction for ties otherwise.
pub(super) fn chance(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < RUNS_MIN || b.len() < RUNS_MIN {
        return None;
    }
    let wins: usize = a.iter().flat_map(|a| b.iter().map(move |b| 1 + usize::from(a > b) - usize::from(a < b))).sum();
    let pairs = a.len() * b.len();
    // Twice the U of the side with fewer wins.
    let fewer = wins.min(2 * pairs - wins);
    let tied = wins != 2 * a.iter().map(|a| b.iter().filter(|b| a > *b).count()).sum::<usize>();
    if a.len() + b.len() <= EXACT_MAX && !tied {
        return Some(exact(a.len(), b.len(), fewer / 2));
    }
    if a.len() + b.len() <= EXACT_MAX {
        return Some(exact(a.len(), b.len(), fewer.div_ceil(2)));
    }
    Some(approximate(a, b, number(fewer) / 2.0))
}

/// Holm's correction (1979), in the order of the chances: with it the chance that *any* of them is a false find stays below the bound that each
/// is held against, whatever they have to do with one another.
pub(super) fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|&a, &b| chances[a].total_cmp(&chances[b]));
    let mut corrected = vec![1.0; chances.len()];
    let mut before = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        before = before.max(chances[at] * number(chances.len() - rank)).min(1.0);
        corrected[at] = before;
    }
    corrected
}

/// The smallest chance that so many runs can have: two arrangements of all.
pub(super) fn least(m: usize, n: usize) -> f64 {
    (1..=m).map(|i| number(i) / number(n + i)).product::<f64>() * 2.0
}

/// Counts the arrangements of `m` and `n` values by U; twice the share of those with at most `u`.
fn exact(m: usize, n: usize, u: usize) -> f64 {
    let pairs = m * n;
    // counts[k] of i and j values: the largest value is one of the first side (and beats j) or of the second. Row by row over i.
    let mut rows = vec![vec![0.0_f64; pairs + 1]; n + 1];
    for row in &mut rows {
        row[0] = 1.0;
    }
    for _ in 0..m {
        let mut next: Vec<Vec<f64>> = Vec::with_capacity(n + 1);
        for (j, row) in rows.iter().enumerate() {
            let mut counts = vec![0.0; pairs + 1];
            for (k, count) in counts.iter_mut().enumerate() {
                let largest_here = if k >= j { row[k - j] } else { 0.0 };
                let largest_there = next.last().map_or(0.0, |before: &Vec<f64>| before[k]);
                *count = largest_here + largest_there;
            }
            next.push(counts);
        }
        rows = next;
    }
    let counts = &rows[n];
    let all: f64 = counts.iter().sum();
    let low: f64 = counts.iter().take(u + 1).sum();
    (2.0 * low / all).min(1.0)
}

fn approximate(a: &[f64], b: &[f64], u: f64) -> f64 {
    let (m, n) = (number(a.len()), number(b.len()));
    let all = m + n;
    let mut sorted: Vec<f64> = a.iter().chain(b).copied().collect();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|x, y| x == y).map(|same| number(same.len())).map(|t| t * t * t - t).sum();
    let variance = m * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    // Half a step towards the middle, since U comes in steps.
    let distance = ((m * n / 2.0 - u) - 0.5).max(0.0) / variance.sqrt();
    (2.0 * upper_tail(distance)).min(1.0)
}

/// The probability that a standard normal variable is above `z`, for `z` of 0 or more (Abramowitz and Stegun 26.2.17, to 7.5e-8).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial =
        [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530].iter().fold(0.0, |sum, factor| (sum + factor) * t);
    polynomial * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of runs and metrics")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn exact_chances_are_those_of_the_tables() {
        // C(8,4) = 70, C(10,5) = 252 arrangements, of which 2 are extreme.
        assert!(close(chance(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]).unwrap(), 2.0 / 70.0));
        assert!(close(chance(&[9.0, 10.0, 6.0, 7.0, 8.0], &[5.0, 4.0, 3.0, 2.0, 1.0]).unwrap(), 2.0 / 252.0));
        // U = 2 of 5 and 5: 1 + 1 + 2 arrangements on each side.
        assert!(close(chance(&[1.0, 2.0, 3.0, 4.0, 7.5], &[5.0, 7.0, 8.0, 9.0, 10.0]).unwrap(), 8.0 / 252.0));
    }

    #[test]
    fn what_is_the_same_is_by_chance() {
        assert_eq!(chance(&[3.0; 5], &[3.0; 5]), Some(1.0));
        assert_eq!(chance(&[3.0; 30], &[3.0; 30]), Some(1.0));
        assert!(chance(&[1.0, 3.0, 5.0, 7.0], &[2.0, 4.0, 6.0, 8.0]).unwrap() > 0.5);
    }

    #[test]
    fn more_questions_need_clearer_answers() {
        assert!(close(least(4, 4), 2.0 / 70.0) && close(least(5, 5), 2.0 / 252.0));
        let corrected = holm(&[0.04, 0.01, 0.9, 0.03]);
        let expected = [0.09, 0.04, 0.9, 0.09];
        assert!(corrected.iter().zip(expected).all(|(a, b)| close(*a, b)), "{corrected:?}");
        assert_eq!(holm(&[]), [] as [f64; 0]);
    }

    #[test]
    fn few_runs_say_nothing() {
        assert_eq!(chance(&[1.0, 1.1, 1.2], &[9.0, 9.1, 9.2, 9.3]), None);
    }

    #[test]
    fn the_approximation_continues_the_exact_one() {
        let a: Vec<f64> = (0..18).map(|n| f64::from(n) * 2.0).collect();
        let b: Vec<f64> = (0..18).map(|n| f64::from(n) * 2.0 + 13.0).collect();
        let exact = chance(&a, &b).unwrap();
        let wins = a.iter().flat_map(|a| b.iter().map(move |b| f64::from(u8::from(a > b)))).sum();
        assert!((exact - approximate(&a, &b, wins)).abs() < 0.003, "{exact}");
        assert!(close(upper_tail(1.959_964), 0.025) && close(upper_tail(0.0), 0.5));
    }
}
