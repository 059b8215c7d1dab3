//! Fuel for comparisons. A list that holds another twice, nested forty deep, is small but takes exponential time to compare,
//! and the engine charges only the top level. So operands are walked first, each value as often as a comparison would visit
//! it: when that exceeds the fuel, the template fails here instead of running into a timeout.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, State, Value, filters};

/// Puts the walked forms of everything that compares into an environment.
pub(super) fn install(environment: &mut Environment) {
    environment.add_function(super::operators::HELD, |state: &State, value: Value| held(state, &value).map(|()| value));
    type Compare = fn(&Value, &Value) -> bool;
    let tests: [(&[&'static str], Compare); 6] = [
        (&["eq", "equalto", "=="], |a, b| a == b),
        (&["ne", "!="], |a, b| a != b),
        (&["lt", "lessthan", "<"], |a, b| a < b),
        (&["le", "<="], |a, b| a <= b),
        (&["gt", "greaterthan", ">"], |a, b| a > b),
        (&["ge", ">="], |a, b| a >= b),
    ];
    for (names, compare) in tests {
        for name in names {
            let test =
                move |state: &State, left: &Value, right: &Value| held(state, right).map(|()| compare(left, right));
            environment.add_test(*name, test);
        }
    }
    environment.add_test("in", |state: &State, value: &Value, list: &Value| contains(state, value, list));
    for (name, parameters, order) in ORDERS {
        let filter = move |state: &mut State, value: Value, places: Rest<Value>, names: Kwargs| {
            let by_name = names.args().map(|name| Ok((name, names.get(name)?))).collect::<Result<Vec<_>, Error>>()?;
            let by_place = parameters.iter().copied().zip(places.iter().cloned());
            let given = Kwargs::from_iter(by_place.chain(by_name).filter(|(_, value): &(_, Value)| !value.is_none()));
            if !value.is_undefined() {
                sorted(state, &value)?;
            }
            order(state, value, given)
        };
        environment.add_filter(*name, filter);
    }
}

type Order = fn(&State, Value, Kwargs) -> Result<Value, Error>;

/// Filters that compare values with each other, with their parameters by place; minijinja takes names only.
const ORDERS: &[(&str, &[&str], Order)] = &[
    ("sort", &["reverse", "case_sensitive", "attribute"], filters::sort),
    ("unique", &["case_sensitive", "attribute"], filters::unique),
    ("min", &["case_sensitive", "attribute"], filters::min),
    ("max", &["case_sensitive", "attribute"], filters::max),
    ("groupby", &["attribute", "default", "case_sensitive"], |_, value, given| filters::groupby(value, None, given)),
    ("dictsort", &["case_sensitive", "by", "reverse"], |_, value, given| filters::dictsort(&value, given)),
];

/// Pays for looking at a value and everything in it.
///
/// # Errors
/// When there is not enough fuel.
pub(super) fn held(state: &State, value: &Value) -> Result<(), Error> {
    let mut rest = vec![value.clone()];
    while let Some(value) = rest.pop() {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()? {
                    state.consume_fuel(1)?;
                    rest.push(item);
                }
            }
            ValueKind::Map => {
                for key in value.try_iter()? {
                    state.consume_fuel(2)?;
                    rest.push(value.get_item(&key)?);
                    rest.push(key);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Pays for sorting a list.
fn sorted(state: &State, value: &Value) -> Result<(), Error> {
    let rounds = usize::BITS - value.len().unwrap_or(0).leading_zeros();
    (0..rounds).try_for_each(|_| held(state, value))
}

/// `value in list`.
fn contains(state: &State, value: &Value, list: &Value) -> Result<bool, Error> {
    held(state, value)?;
    held(state, list)?;
    if let (Some(part), Some(text)) = (value.as_str(), list.as_str()) {
        return Ok(text.contains(part));
    }
    Ok(list.try_iter()?.any(|item| item == *value))
}
