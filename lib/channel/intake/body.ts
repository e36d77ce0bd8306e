/** The raw bytes of a request, with a limit on their number, their time, and on all bodies together. */
import type { IncomingMessage } from "node:http";

const BODY_MAX = 1024 * 1024;
const BODY_WITHIN_MS = 5000;
/** All larger bodies that are being received, together: many callers at once cannot use up the memory. */
const TOGETHER_MAX = 64 * 1024 * 1024;
/** An ordinary message finds room even when strangers take all the rest. */
const SMALL = 64 * 1024;
const ROOM_MIN = 4096;

let together = 0;

/**
 * Resolves with the bytes, or with why there are none: `too-large` (nothing more is read), `too-slow`, `too-many` (other
 * bodies take all the room), `gone` (the caller hung up).
 */
export function readBody(
  request: IncomingMessage,
): Promise<Buffer | "too-large" | "too-slow" | "too-many" | "gone"> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_MAX) return Promise.resolve("too-large");
  if (request.destroyed) return Promise.resolve("gone");
  return new Promise((resolve) => {
    // One block that grows with what really came: a body in crumbs would otherwise cost a hundred bytes for each byte,
    // and one that is only announced would take the room of others.
    let block = Buffer.alloc(0);
    let size = 0;
    const finish = (result: Parameters<typeof resolve>[0]) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onGone);
      together -= block.length;
      resolve(result);
    };
    const onData = (chunk: Buffer) => {
      const needed = size + chunk.length;
      if (needed > BODY_MAX) return finish("too-large");
      if (needed > block.length) {
        const room = Math.min(BODY_MAX, Math.max(needed, 2 * block.length, ROOM_MIN));
        if (room > SMALL && together + room - block.length > TOGETHER_MAX) return finish("too-many");
        together += room - block.length;
        const larger = Buffer.allocUnsafe(room);
        block.copy(larger, 0, 0, size);
        block = larger;
      }
      chunk.copy(block, size);
      size = needed;
    };
    const onEnd = () => finish(block.subarray(0, size));
    const onGone = () => finish("gone");
    const timer = setTimeout(() => finish("too-slow"), BODY_WITHIN_MS);
    request.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
  });
}
