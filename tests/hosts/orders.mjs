// The suite's orders: `{ n, do, … }`, begun in order; each has one answer `{ n, … }`, whenever it comes.

/** Obeys an order by its function in `actions`. What that gives, or throws, is said as the answer. */
export async function obey(actions, order, say) {
  try {
    const answer = await actions[order.do](order);
    if (answer !== undefined) say({ n: order.n, ...answer });
  } catch (error) {
    say({ n: order.n, error: told(error) });
  }
}

/** An error as the suite reads it. */
function told(error) {
  return { code: error?.code ?? "thrown", message: String(error?.message ?? error), field: error?.data?.field };
}
