//! The order of members.

/// How many of the numbers are out of order: all but those of a longest increasing subsequence.
pub(super) fn out_of_order(numbers: &[usize]) -> usize {
    // Patience sorting: `tails[n]` is the smallest number that ends an increasing subsequence of n + 1 numbers.
    let mut tails: Vec<usize> = Vec::new();
    for number in numbers {
        match tails.partition_point(|tail| tail < number) {
            at if at == tails.len() => tails.push(*number),
            at => tails[at] = *number,
        }
    }
    numbers.len() - tails.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_as_explain_it() {
        assert_eq!(out_of_order(&[]), 0);
        assert_eq!(out_of_order(&[0, 1, 2, 3]), 0);
        assert_eq!(out_of_order(&[3, 0, 1, 2]), 1);
        assert_eq!(out_of_order(&[3, 2, 1, 0]), 3);
        assert_eq!(out_of_order(&[1, 0, 3, 2]), 2);
    }
}
