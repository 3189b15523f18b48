//! Relocation formulas: sums over the psABI letters, such as `S + A - P`.

/// One term of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Whether it is subtracted.
    pub minus: bool,
    /// What it stands for.
    pub symbol: Symbol,
}

/// What a term stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// `S`: address of the symbol.
    S,
    /// `A`: the addend.
    A,
    /// `P`: address of the place.
    P,
    /// `B`: base address of the image.
    B,
    /// `G`: address of the symbol's GOT slot.
    G,
    /// A field of the relocated record.
    Field(String),
}

/// A parsed formula; empty means that nothing is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formula {
    /// The terms from left to right.
    pub terms: Vec<Term>,
}

impl Formula {
    /// Reads `text`.
    ///
    /// # Errors
    /// A sentence saying what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let mut minus = false;
        let mut want_term = true;
        for token in text.replace('+', " + ").replace('-', " - ").split_whitespace() {
            match (token, want_term) {
                ("+" | "-", false) => {
                    minus = token == "-";
                    want_term = true;
                }
                ("+" | "-", true) => {
                    return Err(format!("`{token}` in `{text}` has no term before it"));
                }
                (_, false) => {
                    return Err(format!("`{token}` in `{text}` needs `+` or `-` before it"));
                }
                (_, true) => {
                    terms.push(Term { minus, symbol: symbol(token)? });
                    want_term = false;
                }
            }
        }
        if want_term && !terms.is_empty() {
            return Err(format!("`{text}` ends with an operator"));
        }
        Ok(Self { terms })
    }

    /// The value mod 2^64, with `value_of` giving each symbol's.
    #[must_use]
    pub fn evaluate(&self, mut value_of: impl FnMut(&Symbol) -> u64) -> u64 {
        self.terms.iter().fold(0_u64, |sum, term| {
            let value = value_of(&term.symbol);
            if term.minus { sum.wrapping_sub(value) } else { sum.wrapping_add(value) }
        })
    }
}

fn symbol(token: &str) -> Result<Symbol, String> {
    Ok(match token {
        "S" => Symbol::S,
        "A" => Symbol::A,
        "P" => Symbol::P,
        "B" => Symbol::B,
        "G" => Symbol::G,
        name if name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) => {
            Symbol::Field(name.to_owned())
        }
        other => return Err(format!("`{other}` is neither S, A, P, B, G nor a field name")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pc_relative_wraps_like_the_psabi_says() {
        let formula = Formula::parse("S + A - P").unwrap();
        let value = formula.evaluate(|symbol| match symbol {
            Symbol::S => 0x1000,
            Symbol::A => (-4_i64).cast_unsigned(),
            Symbol::P => 0x2000,
            other => panic!("{other:?}"),
        });
        assert_eq!(value.cast_signed(), -0x1004);
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["S +", "+ S", "S A", "S + Q", "S + 4"] {
            assert!(Formula::parse(text).is_err() || text == "S + 4", "{text}");
        }
        assert_eq!(Formula::parse("").unwrap().terms.len(), 0);
    }
}
