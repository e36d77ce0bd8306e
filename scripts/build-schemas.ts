/**
 * Makes the published JSON Schemas and the runtime validators from `lib/message/types.ts`, the one source.
 * Run by `npm run build`, or alone: `tsx scripts/build-schemas.ts`.
 */
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import Ajv from "ajv";
import standaloneCode from "ajv/dist/standalone";
import { build } from "esbuild";

const ROOT = resolve(__dirname, "..");
const SOURCE = join(ROOT, "lib/message/types.ts");
const VALIDATORS = join(ROOT, "lib/message/validators.js");

/** `file`: name in `resources/`, also the last part of the schema's address. */
const SCHEMAS = [
  {
    type: "MessageEvent",
    file: "message-event",
    title: "MessageEvent",
    description: "Something that happened on a channel: msg.payload out of every in node.",
  },
  {
    type: "ChatContext",
    file: "chat-context",
    title: "ChatContext",
    description:
      "All that a reply needs to know about the chat: msg.chat. It survives when msg.payload is replaced.",
  },
  {
    type: "Response",
    file: "response",
    title: "Response",
    description: "What reply and every out node send. A string, number or boolean is taken as { text }.",
  },
] as const;

type Schema = Record<string, unknown>;

/** Writes `resources/*.schema.json` and `lib/message/validators.js`; nothing when they are newer than the types. */
export async function buildSchemas(): Promise<void> {
  if (await isFresh()) return;
  const { createGenerator } = await import("ts-json-schema-generator");
  const generator = createGenerator({
    path: SOURCE,
    tsconfig: await tsconfigForGenerator(),
    additionalProperties: true,
    topRef: false,
    skipTypeCheck: true,
    sortProps: false,
  });
  const made = SCHEMAS.map(({ type, file, title, description }): [string, Schema] => {
    const { $schema, ...schema } = generator.createSchema(type) as Schema;
    const $id = `https://unpkg.com/@redclaw/node-red-gateway/resources/${file}.schema.json`;
    return [file, { $schema, $id, ...schema, title, description }];
  });
  await mkdir(join(ROOT, "resources"), { recursive: true });
  for (const [file, schema] of made) {
    await writeFile(schemaPath(file), `${JSON.stringify(ordered(schema), null, 2)}\n`);
  }
  await writeValidators(made);
}

async function writeValidators(made: [string, Schema][]): Promise<void> {
  const ajv = new Ajv({ allErrors: false, coerceTypes: false, strict: true, code: { source: true } });
  const names: Record<string, string> = {};
  made.forEach(([, schema], index) => {
    ajv.addSchema(schema);
    names[`validate${SCHEMAS[index]?.type}`] = String(schema["$id"]);
  });
  const bundle = await build({
    stdin: { contents: standaloneCode(ajv, names), resolveDir: ROOT, loader: "js" },
    bundle: true,
    platform: "node",
    format: "cjs",
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    banner: { js: "// Made by scripts/build-schemas.ts from lib/message/types.ts." },
    write: false,
  });
  // Complete or not there: several builds may run at once.
  const half = `${VALIDATORS}.${process.pid}`;
  await writeFile(half, bundle.outputFiles[0]?.contents ?? "");
  await rename(half, VALIDATORS);
}

/** The generator brings a TypeScript of its own, which must not read settings meant for a newer one. */
async function tsconfigForGenerator(): Promise<string> {
  const folder = join(ROOT, "node_modules/.cache/redclaw");
  await mkdir(folder, { recursive: true });
  const path = join(folder, "tsconfig.schemas.json");
  const compilerOptions = { strict: true, target: "es2022", module: "commonjs", types: [], noEmit: true };
  await writeFile(path, JSON.stringify({ compilerOptions, files: [SOURCE] }));
  return path;
}

async function isFresh(): Promise<boolean> {
  const changed = Math.max(await modified(SOURCE), await modified(__filename));
  const outputs = [VALIDATORS, ...SCHEMAS.map(({ file }) => schemaPath(file))];
  const written = await Promise.all(outputs.map(modified));
  return written.every((time) => time > changed);
}

/** Milliseconds; 0 when the file is not there. */
async function modified(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

function schemaPath(file: string): string {
  return join(ROOT, "resources", `${file}.schema.json`);
}

const FIRST = ["$schema", "$id", "title", "description", "type", "properties", "required", "definitions"];

/** The keys of a schema in the order people read them; properties stay in the order of the types. */
function ordered(schema: Schema): Schema {
  const known = FIRST.filter((key) => key in schema);
  const others = Object.keys(schema).filter((key) => !FIRST.includes(key));
  return Object.fromEntries([...known, ...others].map((key) => [key, schema[key]]));
}

if (require.main === module) {
  buildSchemas().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
