//! JSON as the library writes it that Nix uses: sorted keys, no white space, numbers in its own spelling.

use serde_json::{Number, Value};

/// The text of a value. `serde_json` bounds the depth of what it reads, so this may recurse.
pub fn dump(value: &Value) -> String {
    let mut out = String::new();
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                put(item, out);
            }
            out.push(']');
        }
        Value::Object(items) => {
            out.push('{');
            for (n, (key, item)) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                put(&Value::String(key.clone()), out);
                out.push(':');
                put(item, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// Floats: the shortest digits that read back the same, with a point between the digits for exponents from -4 to 14,
/// else in scientific notation with a sign and two digits of exponent.
fn number_text(number: &Number) -> String {
    let float = match number.as_f64() {
        Some(float) if number.is_f64() => float,
        _ => return number.to_string(),
    };
    if float == 0.0 {
        return if float.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let text = format!("{:e}", float.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Where the point stands, counted from the first digit.
    let (point, length) = (exponent + 1, digits.len() as i32);
    let sign = if float < 0.0 { "-" } else { "" };
    if length <= point && point <= 15 {
        return format!("{sign}{digits}{}.0", "0".repeat((point - length) as usize));
    }
    if 0 < point && point <= 15 {
        let (whole, fraction) = digits.split_at(point as usize);
        return format!("{sign}{whole}.{fraction}");
    }
    if -4 < point && point <= 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(-point as usize));
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{rest}e{exponent_sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_nix_writes_them() {
        for (text, expected) in [
            ("1", "1"),
            ("-7", "-7"),
            ("18446744073709551615", "18446744073709551615"),
            ("1.0", "1.0"),
            ("0.1", "0.1"),
            ("1e5", "100000.0"),
            ("1e14", "100000000000000.0"),
            ("1e15", "1e+15"),
            ("1.5e300", "1.5e+300"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("-2.5e-7", "-2.5e-07"),
            ("123456.789", "123456.789"),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(dump(&value), expected, "{text}");
        }
    }
}
