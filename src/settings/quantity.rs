//! Durations and sizes as people write them: `90s`, `24h`, `50GiB`.

use std::time::Duration;

/// Reads `<number><unit>`, unit `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "`{text}` is no duration; a number and one of ms, s, m, h, d is expected, as `60s`"
            ));
        }
    };
    scaled(number, milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is no duration, as `60s` is"))
}

/// Reads `<number><unit>` in bytes, unit `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB`, `GB`, `TB` or `B`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => {
            return Err(format!(
                "`{text}` is no size; a number and a unit is expected, as `50GiB`"
            ));
        }
    };
    scaled(number, bytes).ok_or_else(|| format!("`{text}` is no size, as `50GiB` is"))
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(digits).unwrap_or((text, ""))
}

fn scaled(number: &str, unit: u64) -> Option<u64> {
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_a_number_and_a_unit() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(duration("0ms"), Ok(Duration::ZERO));
        assert_eq!(size("50GiB"), Ok(50 << 30));
        assert_eq!(size("1KB"), Ok(1_000));
        for wrong in [
            "",
            "s",
            "60",
            "-1s",
            "1.5h",
            "60 s",
            "60S",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "GiB", "50", "50 GiB", "50gib", "99999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
