/** Updates whose numbers come in the wrong order, as a webhook with several connections delivers them. */
import { NodeRedChild } from "./child";
import { echoFlow } from "./flows";
import { Random } from "./random";
import { newId } from "./side";
import { TelegramSide } from "./telegram-side";
import { eventually, quiet } from "./wait";

export async function runLateUpdates(options: { seed: number; from?: string }): Promise<string[]> {
  const random = new Random(options.seed);
  const side = new TelegramSide({ account: "acct", promised: "hold", webhook: true });
  const red = new NodeRedChild({ flows: [], ...(options.from ? { from: options.from } : {}) });
  try {
    await side.server.start();
    await red.start();
    await red.deploy(echoFlow([{ side, id: "acct", mode: "webhook" }], { publicUrl: red.url }));
    if (!(await eventually(() => side.server.webhook.url !== "", 10_000))) return [`no webhook:\n${red.log}`];
    const updates = Array.from({ length: 50 }, (_, who) => {
      const id = newId();
      return { id, update: side.update(id, who) };
    });
    for (const { id, update } of random.shuffled(updates)) side.send(update, id);
    const missing = () => {
      const got = new Set(side.delivered().map((answer) => answer.id));
      return updates.filter(({ id }) => !got.has(id));
    };
    await quiet(
      () => missing().length,
      () => missing().length === 0,
      3_000,
      15_000,
    );
    return missing().length > 0 ? [`${missing().length} of ${updates.length} late updates were dropped`] : [];
  } finally {
    await red.remove();
    await side.stop();
  }
}
