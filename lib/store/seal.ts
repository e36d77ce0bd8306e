/**
 * Encrypts what people wrote, AES-256 in counter mode. Setting up a cipher for every row would cost more than
 * writing the row (21 us), so one key stream is made per opening, in advance, and every body takes the next piece of
 * it. No piece is used twice, and a body carries its place in the stream, so each can be opened alone.
 *
 * Sealed body: 12 random bytes of this stream, 4 bytes block number, the encrypted text. Counter mode only hides:
 * whoever can change the file could change a body, but not more than the open columns beside it.
 */
import { type Cipheriv, createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const CIPHER = "aes-256-ctr";
const PREFIX_BYTES = 12;
const IV_BYTES = 16;
const BLOCK = 16;
const STREAM_BYTES = 64 * 1024;
/** A stream has 2^32 blocks; then another one begins. */
const BLOCKS_MAX = 2 ** 32;
/** Longer texts get a cipher of their own. */
const SHORT_CHARS = 16 * 1024;
const ZEROS = Buffer.alloc(STREAM_BYTES);

export class Seal {
  readonly #key: Buffer;
  /** Where a text is encrypted in place, in steps of four bytes. */
  readonly #text = Buffer.allocUnsafeSlow(SHORT_CHARS * 3 + BLOCK);
  readonly #textWords = words(this.#text);
  readonly #stream = Buffer.allocUnsafeSlow(STREAM_BYTES);
  readonly #streamWords = words(this.#stream);
  #prefix: Buffer = Buffer.alloc(0);
  #cipher: Cipheriv | undefined;
  /** Number of the first block in `#stream`. */
  #first = 0;
  /** Bytes of `#stream` that are used up. */
  #used = STREAM_BYTES;

  /** `key`: 32 bytes. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  seal(text: string): Buffer {
    if (text.length > SHORT_CHARS) return this.#sealLong(text);
    const bytes = this.#text.write(text, IV_BYTES, "utf8");
    const room = Math.ceil(bytes / BLOCK) * BLOCK;
    if (this.#used + room > STREAM_BYTES) this.#more();
    const block = this.#first + this.#used / BLOCK;
    const [text32, stream32] = [this.#textWords, this.#streamWords];
    const from = this.#used / 4;
    const to = Math.ceil(bytes / 4);
    for (let i = 0; i < to; i++) {
      text32[IV_BYTES / 4 + i] = (text32[IV_BYTES / 4 + i] as number) ^ (stream32[from + i] as number);
    }
    this.#used += room;
    this.#text.set(this.#prefix, 0);
    this.#text.writeUInt32BE(block, PREFIX_BYTES);
    return Buffer.from(this.#text.subarray(0, IV_BYTES + bytes));
  }

  /** The text; something else when the key is not the one it was sealed with; `undefined` when nothing can be. */
  open(sealed: Uint8Array): string | undefined {
    if (sealed.length < IV_BYTES) return undefined;
    const decipher = createDecipheriv(CIPHER, this.#key, sealed.subarray(0, IV_BYTES));
    return decipher.update(sealed.subarray(IV_BYTES)).toString("utf8");
  }

  #sealLong(text: string): Buffer {
    const iv = Buffer.alloc(IV_BYTES);
    randomBytes(PREFIX_BYTES).copy(iv);
    return Buffer.concat([iv, createCipheriv(CIPHER, this.#key, iv).update(text, "utf8")]);
  }

  /** The next piece of the stream. */
  #more(): void {
    this.#first += STREAM_BYTES / BLOCK;
    if (!this.#cipher || this.#first + STREAM_BYTES / BLOCK > BLOCKS_MAX) {
      this.#prefix = randomBytes(PREFIX_BYTES);
      this.#first = 0;
      this.#cipher = createCipheriv(
        CIPHER,
        this.#key,
        Buffer.concat([this.#prefix, Buffer.alloc(IV_BYTES - PREFIX_BYTES)]),
      );
    }
    this.#stream.set(this.#cipher.update(ZEROS));
    this.#used = 0;
  }
}

function words(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
