// Check the README's smallest requests against the types that a client generates from the contract:
// fields that are optional in the API must be optional there.

import type { components, operations } from "./api.generated";

type Schemas = components["schemas"];

export const payment: Schemas["ProcessPayment"] = {
    amount: 1000,
    currency: "sgd",
    payment_method: "pm_card_visa",
};
export const question: Schemas["VerifyPayment"] = { payment_intent_id: "pi_1" };
export const refund: Schemas["ProcessRefund"] = { payment_intent_id: "pi_1" };
export const about: Schemas["VerifyRefund"] = { refund_id: "re_1" };
export const pay: operations["paymentProcess"]["requestBody"] = {
    content: { "application/json": payment },
};
