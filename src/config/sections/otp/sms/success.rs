//! `success` of `[otp.sms.http]`: which answers mean that the message was sent.

use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Any, AnyKey, List, Number, table},
        section::Section,
        tree::{Node, Value},
    },
    otp::deliver::SuccessRule,
};

table! {
    /// `success` of `[otp.sms.http]`
    pub(crate) struct SmsSuccessTable {
        /// Statuses. Default: 200 to 299.
        STATUS: List<Number<u16, 200, 599>> = optional("status");
        /// A place in the JSON of the answer, e.g. `"/result_code"`; with `equals`. The answer's media type does not
        /// matter.
        POINTER: form::Pointer = optional("pointer");
        /// The value there, or a list of values of which it must be one. The number 1 and the text "1" are the same.
        EQUALS: Any = optional("equals");
    }
}

/// Reads `success`.
pub(super) fn success(section: &Section<'_, SmsSuccessTable>, cx: &mut Context<'_>) -> Option<SuccessRule> {
    let statuses = section.values(&SmsSuccessTable::STATUS);
    if section.has(&SmsSuccessTable::POINTER) != section.has(&SmsSuccessTable::EQUALS) {
        let keys: [&dyn AnyKey<Table = SmsSuccessTable>; 2] = [&SmsSuccessTable::POINTER, &SmsSuccessTable::EQUALS];
        let [there, missing] = if section.has(&SmsSuccessTable::POINTER) { keys } else { [keys[1], keys[0]] };
        let help = "write both, e.g. `success = { pointer = \"/result_code\", equals = 1 }`";
        cx.complain(section.place_of_key(there), format!("`{}` without `{}`", there.name(), missing.name()), help);
        return None;
    }
    let Some(node) = section.node(&SmsSuccessTable::EQUALS) else { return Some(SuccessRule { statuses, field: None }) };
    let values = match &node.value {
        Value::List(list) => {
            list.iter().map(Node::scalar).collect::<Option<Vec<_>>>().filter(|values| !values.is_empty())
        }
        _ => node.scalar().map(|value| vec![value]),
    };
    let Some(values) = values else {
        let message = "`equals` must be a text, a number or a flag, or a list of them";
        cx.complain(section.place(&SmsSuccessTable::EQUALS), message, "write e.g. `equals = 1`");
        return None;
    };
    Some(SuccessRule { statuses, field: Some((section.optional(&SmsSuccessTable::POINTER)?, values)) })
}
