// Plays one story through the official Node SDK and prints what it saw as one JSON object.
// Arguments: the folder that holds node_modules, the base URL, the key.
const [folder, baseUrl, key] = process.argv.slice(2);
const loaded = require(require.resolve('stripe', { paths: [folder] }));
const Stripe = loaded.default ?? loaded;
const { hostname, port, protocol } = new URL(baseUrl);
const stripe = new Stripe(key, {
  host: hostname,
  port: Number(port),
  protocol: protocol.replace(':', ''),
  telemetry: false,
});

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return { type: error.type, code: error.code, declineCode: error.decline_code, status: error.statusCode };
  }
  return null;
}

async function main() {
  const card = {
    currency: 'usd',
    confirm: true,
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  };
  const paid = await stripe.paymentIntents.create({
    ...card, amount: 2099, payment_method: 'pm_card_visa', metadata: { event_id: 'E1' }, expand: ['latest_charge'],
  });
  const refund = await stripe.refunds.create({ payment_intent: paid.id, amount: 99 });
  const declined = await refusal(
    stripe.paymentIntents.create({ ...card, amount: 2000, payment_method: 'pm_card_chargeDeclined' }),
  );
  const missing = await refusal(stripe.paymentIntents.retrieve('pi_nope'));
  const method = await stripe.paymentMethods.create({ type: 'card', card: { token: 'tok_visa' } });
  const once = { ...card, amount: 2000, payment_method: method.id };
  await stripe.paymentIntents.create(once);
  const usedUp = await refusal(stripe.paymentIntents.create(once));
  const ignored = await refusal(
    stripe.paymentIntents.create({ ...card, amount: 2000, payment_method_configuration: 'pmc_1' }),
  );
  const held = await stripe.paymentIntents.create({
    ...card, amount: 2000, payment_method: 'pm_card_visa', capture_method: 'manual',
  });
  const taken = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1500 });
  const charge = await stripe.charges.retrieve(taken.latest_charge);
  const thin = await stripe.v2.core.events.list({ object_id: taken.id, types: ['v1.payment_intent.succeeded'] });
  const customer = await stripe.customers.create({ email: 'jenny@example.com' });
  const made = [];
  for (let count = 0; count < 3; count += 1) {
    made.unshift((await stripe.paymentIntents.create({ amount: 500, currency: 'usd', customer: customer.id })).id);
  }
  const listed = [];
  for await (const intent of stripe.paymentIntents.list({ customer: customer.id, limit: 2 })) listed.push(intent.id);
  const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'ping' });
  const header = stripe.webhooks.generateTestHeaderString({ payload: body, secret: 'whsec_test' });
  const event = stripe.webhooks.constructEvent(body, header, 'whsec_test');
  console.log(JSON.stringify({
    status: paid.status,
    charge: paid.latest_charge.object,
    metadata: paid.metadata,
    refund: refund.status,
    declined,
    missing,
    usedUp,
    ignored,
    released: [charge.amount_captured, charge.amount_refunded, charge.refunded],
    thin: thin.data.map((notice) => notice.type),
    pagesAgree: JSON.stringify(made) === JSON.stringify(listed),
    event: event.type,
  }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
