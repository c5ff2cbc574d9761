//! Money: whole minor units and a currency, never a float.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The largest amount in minor units, in either direction: a million million. Far below 2^53, so that JavaScript holds every amount
/// and every sum of a trip exactly.
pub const MINOR_UNITS_MAX: i64 = 1_000_000_000_000;

/// An amount in the smallest unit of its currency (cents), at most [`MINOR_UNITS_MAX`] in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MinorUnits(i64);

impl MinorUnits {
    /// The amount; `None` beyond the bound.
    #[must_use]
    pub const fn new(value: i64) -> Option<Self> {
        if value >= -MINOR_UNITS_MAX && value <= MINOR_UNITS_MAX { Some(Self(value)) } else { None }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for MinorUnits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        Self::new(value)
            .ok_or_else(|| de::Error::custom(format_args!("must be between -{MINOR_UNITS_MAX} and {MINOR_UNITS_MAX} minor units")))
    }
}

/// A currency by its ISO 4217 code, such as `EUR`. Codes are only ever added to the list, because stored events hold them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static str);

impl Currency {
    /// The currency of a code in capitals; `None` when the code is not in the list of ISO 4217.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        CODES.binary_search(&code).ok().and_then(|index| CODES.get(index).copied()).map(Self)
    }

    /// The three letters.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// How many digits the minor unit has: 2 for `EUR`, 0 for `JPY`, 3 for `KWD`.
    #[must_use]
    pub fn minor_digits(&self) -> u8 {
        match self.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND" | "VUV" | "XAF"
            | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Currency;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a currency code of ISO 4217 in capitals, such as EUR")
            }
            fn visit_str<E: de::Error>(self, code: &str) -> Result<Currency, E> {
                Currency::new(code).ok_or_else(|| E::invalid_value(de::Unexpected::Str(code), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// An amount in a currency: `{"minor": 1250, "currency": "EUR"}` is twelve euros fifty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// The amount in minor units.
    pub minor: MinorUnits,
    /// The currency.
    pub currency: Currency,
}

/// ISO 4217 alphabetic codes of money in use (list one, 2026), sorted; without metals, test codes and bond units.
const CODES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF", "BMD", "BND", "BOB",
    "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CLF", "CLP", "CNY", "COP", "COU", "CRC", "CUP",
    "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ",
    "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW",
    "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR",
    "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN",
    "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC",
    "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "USN", "UYI", "UYU", "UYW", "UZS",
    "VED", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_is_sorted_and_well_formed() {
        assert!(CODES.is_sorted_by(|a, b| a < b));
        assert!(CODES.iter().all(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())));
    }

    #[test]
    fn only_whole_bounded_amounts_in_known_currencies() {
        let money: Money = serde_json::from_value(json!({"minor": 1250, "currency": "EUR"})).unwrap();
        assert_eq!((money.minor.get(), money.currency.as_str(), money.currency.minor_digits()), (1250, "EUR", 2));
        for wrong in [
            json!({"minor": 12.5, "currency": "EUR"}),
            json!({"minor": 1, "currency": "eur"}),
            json!({"minor": 1, "currency": "XYZ"}),
            json!({"minor": MINOR_UNITS_MAX + 1, "currency": "EUR"}),
            json!({"minor": 1}),
        ] {
            assert!(serde_json::from_value::<Money>(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(serde_json::from_value::<MinorUnits>(json!(-MINOR_UNITS_MAX)).is_ok());
    }
}
