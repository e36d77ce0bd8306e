/** A proxy that puts a prefix in front of a server and takes it away again, as Home Assistant's ingress does. */
import { createServer, request } from "node:http";
import { type AddressInfo, connect } from "node:net";

export async function startProxy(
  target: string,
  prefix: string,
): Promise<{ url: string; stop(): Promise<void> }> {
  const { hostname, port } = new URL(target);
  const stripped = (url = "/") => (url.startsWith(prefix) ? url.slice(prefix.length) || "/" : undefined);
  const server = createServer((incoming, answer) => {
    const path = stripped(incoming.url);
    if (path === undefined) return void answer.writeHead(404).end();
    const { method, headers } = incoming;
    const outgoing = request({ hostname, port, path, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  server.on("upgrade", (incoming, socket, head) => {
    const path = stripped(incoming.url);
    if (path === undefined) return socket.destroy();
    const up = connect(Number(port), hostname, () => {
      const lines = incoming.rawHeaders.flatMap((name, at, all) =>
        at % 2 ? [] : [`${name}: ${all[at + 1]}`],
      );
      up.write([`GET ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
      up.write(head);
      up.pipe(socket).pipe(up);
    });
    for (const one of [up, socket]) one.on("error", () => one.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
