/** Builds the browser's part of the web channel: four small files with nothing to load from elsewhere. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { build, transform } from "esbuild";

const source = path.join(__dirname, "../nodes/channels/web/page");
/** Browsers of the last three years. */
const target = ["chrome116", "firefox119", "safari17"];

/** Writes `page.html`, `page.js`, `page.css` and `widget.js` into `folder`. */
export async function buildWebPage(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const html = await readFile(path.join(source, "page.html"), "utf8");
  const css = await transform(await readFile(path.join(source, "page.css"), "utf8"), {
    loader: "css",
    minify: true,
    target,
  });
  await Promise.all([
    writeFile(path.join(folder, "page.html"), html.replace(/\n\s+/g, "\n")),
    writeFile(path.join(folder, "page.css"), css.code),
    bundle("page.ts", path.join(folder, "page.js")),
    bundle("widget.ts", path.join(folder, "widget.js")),
  ]);
}

async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [path.join(source, entry)],
    outfile,
    bundle: true,
    minify: true,
    format: "iife",
    target,
    loader: { ".css": "text" },
    plugins: [
      {
        name: "small-styles",
        setup({ onLoad }) {
          onLoad({ filter: /\.css$/ }, async ({ path: file }) => {
            const { code } = await transform(await readFile(file, "utf8"), {
              loader: "css",
              minify: true,
              target,
            });
            return { contents: code.trim(), loader: "text" };
          });
        },
      },
    ],
    logLevel: "warning",
  });
}
