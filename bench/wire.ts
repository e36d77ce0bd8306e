/**
 * HTTP/1.1 on a bare socket, for the load: the platform shares its core with nothing but itself, and node:http's own
 * client would cost more than the system that is measured.
 */
import { connect, type Socket } from "node:net";

type OnAnswer = (status: number, body: string) => void;

interface Waiting {
  bytes: string;
  onAnswer: OnAnswer;
}

/** One keep-alive connection: requests one after the other, in the order they were given. */
export class Wire {
  readonly #port: number;
  readonly #queue: Waiting[] = [];
  #socket?: Socket;
  #current?: OnAnswer;
  #read = "";

  constructor(port: number) {
    this.#port = port;
  }

  post(path: string, headers: string, body: string, onAnswer: OnAnswer): void {
    const length = Buffer.byteLength(body);
    const bytes = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\nContent-Type: application/json\r\n${headers}Content-Length: ${length}\r\n\r\n${body}`;
    this.#queue.push({ bytes, onAnswer });
    this.#next();
  }

  #next(): void {
    if (this.#current) return;
    const next = this.#queue.shift();
    if (!next) return;
    this.#current = next.onAnswer;
    this.#socket ??= this.#open();
    this.#socket.write(next.bytes);
  }

  #open(): Socket {
    const socket = connect(this.#port, "127.0.0.1").setNoDelay(true).setEncoding("latin1");
    socket.on("data", (text: string) => this.#receive(text));
    const gone = () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#answer(0, "");
    };
    socket.on("error", gone).on("close", gone);
    return socket;
  }

  #receive(text: string): void {
    this.#read += text;
    const headEnd = this.#read.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#read.slice(0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const end = length === undefined ? this.#endOfChunks() : headEnd + 4 + Number(length);
    if (end < 0 || this.#read.length < end) return;
    const body = this.#read.slice(headEnd + 4, end);
    this.#read = this.#read.slice(end);
    if (/\r\nconnection: *close/i.test(head)) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    this.#answer(Number(head.slice(9, 12)), body);
  }

  #endOfChunks(): number {
    const at = this.#read.indexOf("\r\n0\r\n\r\n");
    return at < 0 ? -1 : at + 7;
  }

  #answer(status: number, body: string): void {
    const onAnswer = this.#current;
    this.#current = undefined;
    onAnswer?.(status, body);
    this.#next();
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }
}

/** A stream of server-sent events; `onEvent` gets the name and the data of each. Answers the way to end it. */
export function listen(
  port: number,
  path: string,
  headers: string,
  onEvent: (event: string, data: string) => void,
  onRefused: (head: string) => void,
): () => void {
  const socket = connect(port, "127.0.0.1").setNoDelay(true).setEncoding("utf8");
  let read = "";
  let opened = false;
  socket.on("data", (text: string) => {
    read += text;
    if (!opened) {
      const headEnd = read.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      if (!read.startsWith("HTTP/1.1 200")) {
        onRefused(read.slice(0, 2000));
        socket.destroy();
        return;
      }
      opened = true;
      read = read.slice(headEnd + 4);
    }
    for (let end = read.indexOf("\n\n"); end >= 0; end = read.indexOf("\n\n")) {
      // Sizes of chunks stand between events and are looked over: an event is found by its two lines.
      const block = read.slice(0, end);
      read = read.slice(end + 2);
      const at = block.indexOf("event: ");
      const lineEnd = block.indexOf("\ndata: ", at);
      if (at >= 0 && lineEnd >= 0) onEvent(block.slice(at + 7, lineEnd), block.slice(lineEnd + 7));
    }
  });
  socket.on("error", () => socket.destroy());
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${headers}\r\n`);
  return () => socket.destroy();
}
