/** The parts of node-red-node-test-helper that our tests use; the package brings no types. */
declare module "node-red-node-test-helper" {
  interface TestHelper {
    init(runtimePath: string, settings?: object): void;
    startServer(): Promise<void>;
    stopServer(): Promise<void>;
    load(nodes: unknown, flow: unknown, credentials?: unknown): Promise<void>;
    unload(): Promise<void>;
    getNode(id: string): unknown;
    request(): unknown;
  }
  const helper: TestHelper;
  export default helper;
}
