/** Real servers that tests talk to. Each one counts what reaches it and is gone after its test. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from "node:net";

export interface TestServer {
  url: string;
  port: number;
  /** Connections accepted so far. */
  connections: number;
  /** Requests whose head arrived. */
  requests: number;
  /** Sockets that are open now. */
  sockets: Set<Socket>;
  server: Server | TcpServer;
}

const running = new Set<TestServer>();

/** An HTTP server. Default: 200 "ok". */
export function serve(listener: RequestListener = (_, response) => response.end("ok")): Promise<TestServer> {
  return start(createServer(), (test, server) => {
    server.on("request", (request, response) => {
      test.requests++;
      listener(request, response);
    });
  });
}

/** A server below HTTP, to break the rules with. */
export function serveTcp(listener: (socket: Socket) => void): Promise<TestServer> {
  return start(createTcpServer(), (_, server) => server.on("connection", listener));
}

/** Any server, with TLS for example. */
export async function start<S extends Server | TcpServer>(
  server: S,
  prepare: (test: TestServer, server: S) => void,
): Promise<TestServer> {
  const test: TestServer = { url: "", port: 0, connections: 0, requests: 0, sockets: new Set(), server };
  server.on("connection", (socket: Socket) => {
    test.connections++;
    test.sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => test.sockets.delete(socket));
  });
  prepare(test, server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.port = (server.address() as AddressInfo).port;
  test.url = `http://127.0.0.1:${test.port}`;
  running.add(test);
  return test;
}

/** For `afterEach`. */
export async function stopServers(): Promise<void> {
  for (const test of running) {
    for (const socket of test.sockets) socket.destroy();
    await new Promise((resolve) => test.server.close(resolve));
  }
  running.clear();
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function until(condition: () => boolean, ms = 2000): Promise<void> {
  for (const end = performance.now() + ms; !condition(); ) {
    if (performance.now() > end) throw new Error("waited too long");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
