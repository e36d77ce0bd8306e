/** Texts that people, models and attackers write, for every test of this room. */
import type { Capabilities } from "../../lib/message/types";

const spec = require("commonmark-spec") as {
  tests: { markdown: string; html: string; section: string; number: number }[];
};
const naughty = require("big-list-of-naughty-strings") as string[];

/** The examples of the CommonMark specification. */
export const specExamples = spec.tests.map((test) => ({
  ...test,
  markdown: test.markdown.replaceAll("→", "\t"),
  html: test.html.replaceAll("→", "\t"),
}));

/** What a model answers when it is asked for everything. */
export const answer = `# Watering plan with \`code\`

Hello **bold _both_** ~~x~~ & <b> [link](https://a.example/?a=1&b=2), [bad](javascript:alert(1)) and ![pic](https://x.example/y.png).
Second line, see <https://auto.example> or [write](mailto:a@b.example).

- one
- two **with \`c\` in**
  - nested
    more
    1. deep
- three

  paragraph of three

3. third
4. fourth

> quote **x**
>
> > inner
> \`\`\`js
> if (a<b) {}
> \`\`\`

| name | litres |
|------|-------:|
| fern **y** | 10 |
| 漢字 | 5 |

---

\`\`\`python
def f():
    return 1 < 2

\`\`\`
The end. 👨‍👩‍👧‍👦🇩🇪 e\u0301 नमस्ते 안녕
`;

/** Every string here goes through every dialect. */
export const corpus: string[] = [...specExamples.map(({ markdown }) => markdown), ...naughty, answer];

export const can: Capabilities = {
  text: { max: 4096, unit: "utf16", caption: 1024 },
  dialect: "html",
  buttons: true,
  edit: true,
  delete: true,
  typing: true,
  reactions: true,
  threads: true,
  replyTo: true,
  silent: true,
  images: true,
  audio: true,
  voice: true,
  video: true,
  files: true,
  idempotency: "none",
};

/** Without spaces and signs of quotes, which may be repeated or left out at a cut. */
export function essence(text: string): string {
  return text.replace(/[\s>\u00a0]+/g, "");
}

/** Time of our own work, whatever else the machine does. */
export function cpuMs(): number {
  return process.cpuUsage().user / 1000;
}
