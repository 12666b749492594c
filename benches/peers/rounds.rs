//! Measuring two in turns, so that whatever else the machine does meanwhile hits both.

use std::fmt;

use anyhow::Result;

/// One thing measured, in one round or as the median of many.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// What ratios are made of; greater is better.
    pub(crate) score: f64,
    /// Of single requests, in seconds.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// What a request costs the server, in seconds of a processor. Others at work disturb it least.
    pub(crate) cpu: Option<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    BytesPerSecond,
    Seconds,
    Bytes,
}

/// The medians of ramgate and its peer, and how they relate.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Figure,
    pub(crate) peer: Figure,
    /// Above 1 where ramgate does better: it is faster, or takes less.
    pub(crate) ratio: f64,
}

/// Measures both `rounds` times, after one that does not count. The ratio is the median of the rounds' own ratios.
pub(crate) fn alternate(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Figure>,
    mut peer: impl FnMut() -> Result<Figure>,
) -> Result<Pair> {
    let (mut all_ours, mut all_peer) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        // Who goes first finds the machine as the other has left it, so they take turns at that as well.
        let (mine, theirs) = if round % 2 == 0 {
            let mine = ours()?;
            (mine, peer()?)
        } else {
            let theirs = peer()?;
            (ours()?, theirs)
        };
        if round > 0 {
            all_ours.push(mine);
            all_peer.push(theirs);
        }
    }
    Ok(Pair::of(&all_ours, &all_peer))
}

/// The middle one; of an even number, the lower of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

/// The value that `part` of the values lie below or at.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into values that are in memory"
    )]
    let index = (last as f64 * part) as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

// === impl Figure ===

impl Figure {
    pub(crate) fn new(value: f64, unit: Unit) -> Self {
        let score = match unit {
            Unit::PerSecond | Unit::BytesPerSecond => value,
            Unit::Seconds | Unit::Bytes => 1.0 / value,
        };
        Self {
            value,
            unit,
            score,
            p50: None,
            p99: None,
            cpu: None,
        }
    }

    fn median(figures: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Option<f64>| {
            let values: Vec<f64> = figures.iter().filter_map(part).collect();
            (!values.is_empty()).then(|| median(values))
        };
        Self {
            value: of(|figure| Some(figure.value)).unwrap_or(f64::NAN),
            unit: figures.first().map_or(Unit::Seconds, |figure| figure.unit),
            score: of(|figure| Some(figure.score)).unwrap_or(f64::NAN),
            p50: of(|figure| figure.p50),
            p99: of(|figure| figure.p99),
            cpu: of(|figure| figure.cpu),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::PerSecond => write!(formatter, "{:.0}/s", self.value)?,
            Unit::BytesPerSecond => write!(formatter, "{:.2} GB/s", self.value / 1e9)?,
            Unit::Seconds => write!(formatter, "{}", Time(self.value))?,
            Unit::Bytes => write!(formatter, "{:.1} MiB", self.value / f64::from(1 << 20))?,
        }
        if let (Some(p50), Some(p99)) = (self.p50, self.p99) {
            write!(formatter, ", p50 {}, p99 {}", Time(p50), Time(p99))?;
        }
        if let Some(cpu) = self.cpu {
            write!(formatter, ", CPU {}", Time(cpu))?;
        }
        Ok(())
    }
}

// === impl Pair ===

impl Pair {
    /// Of the rounds of both, in order.
    pub(crate) fn of(ours: &[Figure], peer: &[Figure]) -> Self {
        let ratios = ours
            .iter()
            .zip(peer)
            .map(|(ours, peer)| ours.score / peer.score)
            .collect();
        Self {
            ours: Figure::median(ours),
            peer: Figure::median(peer),
            ratio: median(ratios),
        }
    }

    /// The same two by what they cost the processor, if that was measured. The ratio is that of the medians.
    pub(crate) fn cpu(&self) -> Option<Self> {
        let (ours, peer) = (self.ours.cpu?, self.peer.cpu?);
        Some(Self {
            ours: Figure::new(ours, Unit::Seconds),
            peer: Figure::new(peer, Unit::Seconds),
            ratio: peer / ours,
        })
    }
}

/// Seconds, as people read them.
struct Time(f64);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        match seconds {
            _ if seconds < 1e-6 => write!(formatter, "{:.0} ns", seconds * 1e9),
            _ if seconds < 1e-3 => write!(formatter, "{:.0} µs", seconds * 1e6),
            _ if seconds < 1.0 => write!(formatter, "{:.1} ms", seconds * 1e3),
            _ => write!(formatter, "{seconds:.2} s"),
        }
    }
}
