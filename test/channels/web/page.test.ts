/** The chat page and the widget in a real browser. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import type { PostedMessage } from "../../../nodes/channels/web/parse";
import { builtPage, type SiteSettings, serveWeb, until, type WebSite } from "../../platforms/web";

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);

/** Ways to run a script that have worked somewhere. */
const NASTY = [
  "<script>window.hacked=1</script>",
  "<img src=x onerror=window.hacked=1>",
  "<svg/onload=window.hacked=1>",
  "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
  "[click](javascript:window.hacked=1)",
  "[click](JaVaScRiPt&colon;window.hacked=1)",
  "[click](data:text/html,<script>opener.hacked=1</script>)",
  "[a](https://x.example \"' onmouseover='window.hacked=1\")",
  '![x](x" onerror="window.hacked=1)',
  '<https://x.example/"onclick="window.hacked=1>',
  '```"><script>window.hacked=1</script>\nx\n```',
  "`</code><script>window.hacked=1</script>`",
  '<a href="javascript:window.hacked=1">x</a>',
  "<style>*{display:none}</style>",
  "<form action=//evil.example><button>x</button></form>",
  "<math><mtext></form><form><mglyph><style></math><img src onerror=window.hacked=1>",
  "| a |\n|---|\n| <img src=x onerror=window.hacked=1> |",
  "\u0000<script\u0000>window.hacked=1</script>",
  "<<script>script>window.hacked=1<</script>/script>",
];

describe("web: page in a browser", () => {
  let browser: Browser;
  const closing: (() => Promise<unknown>)[] = [];
  const problems: string[] = [];

  before(async () => {
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
  });
  after(() => browser.close());
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    assert.deepEqual(problems.splice(0), []);
  });

  async function open(settings: SiteSettings = {}): Promise<WebSite> {
    const site = await serveWeb(settings);
    closing.push(() => site.close());
    return site;
  }

  async function context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const made = await browser.newContext({
      locale: "en-US",
      viewport: { width: 900, height: 700 },
      ...options,
    });
    closing.push(() => made.close());
    return made;
  }

  async function visit(address: string, from?: BrowserContext): Promise<Page> {
    const page = await (from ?? (await context())).newPage();
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(address);
    return page;
  }

  /** Answers every message in its own conversation. */
  function answer(
    site: WebSite,
    reply: (text: string) => string | undefined = (text) => `You said: ${text}`,
  ): void {
    site.ctx.onAccept = (update) => {
      const { visitor, text } = update as PostedMessage;
      const said = reply(text);
      if (said !== undefined) setTimeout(() => void say(site, said, visitor), 10);
    };
  }

  function say(
    site: WebSite,
    text: string,
    visitor = (site.ctx.accepted[0] as PostedMessage).visitor,
    more = {},
  ) {
    const key = { key: String(Math.random()), signal: site.ctx.signal };
    return site.client.send({ kind: "text", text, plain: text, ...more }, { conversation: visitor }, key);
  }

  const field = (page: Page) => page.getByLabel("Write a message…");
  const log = (page: Page) => page.getByRole("log");
  async function write(page: Page, text: string): Promise<void> {
    await field(page).fill(text);
    await field(page).press("Enter");
  }

  it("greets, takes a message, shows the answer as markdown, and stays ready for the next", async () => {
    const site = await open({ settings: { options: { title: "My house", greeting: "Hello **you**" } } });
    answer(site, () => "It is **21 °C** in [the kitchen](https://example.org/kitchen).");
    const page = await visit(site.base);
    await page.getByRole("heading", { name: "My house" }).waitFor();
    await log(page).locator("strong", { hasText: "you" }).waitFor();
    await page.getByText("Online").waitFor();
    await write(page, "How warm is it?");
    await log(page).locator("strong", { hasText: "21 °C" }).waitFor();
    const link = log(page).getByRole("link", { name: "the kitchen" });
    assert.equal(await link.getAttribute("target"), "_blank");
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
    assert.equal(await field(page).evaluate((element) => element === document.activeElement), true);
    assert.equal(await log(page).locator(".me").count(), 1);
    await page.reload();
    await log(page).locator("strong", { hasText: "21 °C" }).waitFor();
    assert.equal(await log(page).locator(".me").count(), 1);
  });

  it("nothing that a visitor, a model or a file name says runs as script", async () => {
    const site = await open();
    const page = await visit(site.base);
    await write(page, NASTY[0] as string);
    await log(page).locator(".me", { hasText: "<script>" }).waitFor();
    await until(() => site.ctx.accepted.length === 1);
    for (const text of NASTY) {
      await say(site, text, undefined, { buttons: [[{ label: text.slice(0, 60), value: "x" }]] });
      await say(site, text, undefined, { unformatted: true });
    }
    const { visitor } = site.ctx.accepted[0] as PostedMessage;
    const file = {
      kind: "file" as const,
      data: PNG.toString("base64"),
      name: '"><img src=x onerror=window.hacked=1>.png',
    };
    await site.client.send(
      { kind: "file", file },
      { conversation: visitor },
      { key: "f", signal: site.ctx.signal },
    );
    await log(page).locator("img").first().waitFor();
    for (const link of await log(page).getByRole("link", { name: "click" }).all())
      await link.click({ timeout: 500 }).catch(() => undefined);
    await page.waitForTimeout(200);
    const found = await page.evaluate(() => ({
      hacked: (window as { hacked?: number }).hacked,
      elements: document.querySelectorAll("#log :is(script, iframe, style, form, object, embed, svg, math)")
        .length,
      handlers: [...document.querySelectorAll("#log *")].filter((element) =>
        [...element.attributes].some(
          ({ name, value }) => name.startsWith("on") || /^\s*(javascript|data):/i.test(value),
        ),
      ).length,
      pictures: [...document.querySelectorAll<HTMLImageElement>("#log img")].filter(
        (img) => !/^files\//.test(img.getAttribute("src") ?? ""),
      ).length,
    }));
    assert.deepEqual(found, { hacked: undefined, elements: 0, handlers: 0, pictures: 0 });
  });

  it("suggestions and buttons answer with a click, and a pressed one stays marked", async () => {
    const site = await open({ settings: { options: { suggestions: "First\nSecond\n\nThird\nFourth" } } });
    const page = await visit(site.base);
    assert.equal(await page.locator(".welcome button").count(), 3);
    await page.getByRole("button", { name: "Second" }).click();
    await until(() => site.ctx.accepted.length === 1);
    await page.locator(".welcome .buttons").waitFor({ state: "hidden" });
    await say(site, "Open the door?", undefined, {
      buttons: [
        [
          { label: "Yes", value: "open:1" },
          { label: "No", value: "open:0" },
        ],
      ],
    });
    await page.getByRole("button", { name: "No" }).click();
    await until(() => site.ctx.accepted.length === 2);
    assert.equal((site.ctx.accepted[1] as PostedMessage).button?.value, "open:0");
    assert.equal(await page.getByRole("button", { name: "No" }).getAttribute("aria-pressed"), "true");
  });

  it("a restart of the server is bridged: what was missed comes, what was written goes, nothing twice", async () => {
    const first = await serveWeb();
    const page = await visit(first.base);
    await write(page, "before");
    await until(() => first.ctx.accepted.length === 1);
    await first.close();
    await page.getByText("No connection. Trying again…").waitFor();
    await write(page, "written meanwhile");
    await page.locator('.me[data-state="waiting"]').waitFor();
    const second = await open({ kept: first.ctx.kept, port: first.port });
    await say(second, "said meanwhile", (first.ctx.accepted[0] as PostedMessage).visitor);
    await page.getByText("said meanwhile").waitFor();
    await page.getByText("Online").waitFor();
    await until(() => second.ctx.accepted.length === 1);
    assert.equal((second.ctx.accepted[0] as PostedMessage).text, "written meanwhile");
    await page.locator(".me[data-state]").first().waitFor({ state: "detached" });
    const texts = await log(page).locator(".msg:not(.welcome) .bubble").allInnerTexts();
    assert.deepEqual(texts.sort(), ["before", "said meanwhile", "written meanwhile"]);
  });

  it("a message that could not be stored survives a reload and is sent once, with the same nonce", async () => {
    const site = await open();
    const page = await visit(site.base);
    await page.getByText("Online").waitFor();
    const nonces: unknown[] = [];
    page.on(
      "request",
      (posted) => posted.url().endsWith("/messages") && nonces.push(posted.postDataJSON().nonce),
    );
    site.ctx.refuseWith = new Error("no disk");
    await write(page, "do not lose me");
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await page.reload();
    await page.getByText("do not lose me").waitFor();
    site.ctx.refuseWith = undefined;
    await until(() => site.ctx.accepted.length === 1, "sent", 10_000);
    await page.locator(".me[data-state]").first().waitFor({ state: "detached" });
    assert.equal(new Set(nonces).size, 1);
    assert.equal(await log(page).locator(".me").count(), 1);
  });

  it("a server that forgot everything is met as a new visitor: what was waiting is sent once, by itself", async () => {
    const first = await serveWeb();
    const page = await visit(first.base);
    await write(page, "before");
    await until(() => first.ctx.accepted.length === 1);
    await first.close();
    await page.getByText("No connection. Trying again…").waitFor();
    await write(page, "written meanwhile");
    await page.locator('.me[data-state="waiting"]').waitFor();
    const second = await open({ port: first.port });
    answer(second);
    await page.getByText("You said: written meanwhile").waitFor();
    await page.locator(".me[data-state]").first().waitFor({ state: "detached" });
    assert.equal(second.ctx.accepted.length, 1);
    await write(page, "after");
    await page.getByText("You said: after").waitFor();
    assert.equal(await log(page).locator(".me").count(), 3);
  });

  it("a message that meets Node-RED before its flows run is sent as soon as they do", async () => {
    let starting = false;
    const site = await open({
      around: (handle) => (request, response) =>
        starting
          ? void response.writeHead(404, { "Content-Type": "text/html" }).end("Cannot POST")
          : handle(request, response),
    });
    const page = await visit(site.base);
    await page.getByText("Online").waitFor();
    starting = true;
    await write(page, "are you up?");
    await page.locator('.me[data-state="waiting"]').waitFor();
    starting = false;
    await until(() => site.ctx.accepted.length === 1);
  });

  it("what waits in two tabs survives in both", async () => {
    const site = await open();
    const shared = await context();
    const [one, two] = [await visit(site.base, shared), await visit(site.base, shared)];
    for (const page of [one, two]) await page.getByText("Online").waitFor();
    site.ctx.refuseWith = new Error("no disk");
    await write(one, "from the first");
    await one.locator('.me[data-state="waiting"]').waitFor();
    await write(two, "from the second");
    await two.locator('.me[data-state="waiting"]').waitFor();
    await one.close();
    await two.reload();
    for (const text of ["from the first", "from the second"]) await two.getByText(text).waitFor();
    site.ctx.refuseWith = undefined;
    await until(() => site.ctx.accepted.length === 2, "both sent", 10_000);
    await two.locator(".me[data-state]").first().waitFor({ state: "detached" });
    await two.reload();
    await two.getByText("Online").waitFor();
    assert.equal(await log(two).locator(".me").count(), 2);
  });

  it("what is written and attached while a file is still on its way is not lost", async () => {
    const site = await open();
    const page = await visit(site.base);
    await page.getByText("Online").waitFor();
    let arrive: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    await page.route("**/files", (route) => slow.then(() => route.continue()), { times: 1 });
    await page.setInputFiles("#files", [
      { name: "first.txt", mimeType: "text/plain", buffer: Buffer.from("1") },
    ]);
    await write(page, "look");
    await field(page).press("End");
    await page.keyboard.type(" and another thing");
    await page.setInputFiles("#files", [
      { name: "second.txt", mimeType: "text/plain", buffer: Buffer.from("2") },
    ]);
    arrive();
    await until(() => site.ctx.accepted.length === 1);
    assert.equal((site.ctx.accepted[0] as PostedMessage).text, "look");
    assert.equal(await field(page).inputValue(), "and another thing");
    await page.locator(".chip", { hasText: "second.txt" }).waitFor();
    assert.equal(await page.locator(".chip").count(), 1);
  });

  it("too fast is explained and sent by itself, in order", async () => {
    const site = await open();
    const page = await visit(site.base);
    for (let n = 1; n <= 11; n += 1) await write(page, `message ${n}`);
    await page.getByText("That was a bit fast. It is sent in a moment.").waitFor();
    await until(() => site.ctx.accepted.length === 11, "all sent", 8_000);
    assert.deepEqual(
      site.ctx.accepted.map((update) => (update as PostedMessage).text),
      Array.from({ length: 11 }, (_, n) => `message ${n + 1}`),
    );
  });

  it("a text that is too long is refused in words and kept in the field", async () => {
    const page = await visit((await open()).base);
    await write(page, "ä".repeat(9_000));
    await page.getByText("too long (16 kB at most)").waitFor();
    assert.equal((await field(page).inputValue()).length, 9_000);
  });

  it("two tabs of a visitor show the same conversation", async () => {
    const site = await open();
    answer(site);
    const shared = await context();
    const [one, two] = [await visit(site.base, shared), await visit(site.base, shared)];
    await two.getByText("Online").waitFor();
    await write(one, "hello");
    for (const page of [one, two]) await page.getByText("You said: hello").waitFor();
    assert.equal(await log(two).locator(".me").count(), 1);
  });

  it("files go both ways: a picture is shown, others can be saved, sound can be played", async () => {
    const site = await open();
    const page = await visit(site.base);
    await page.setInputFiles("#files", [
      { name: "pic.png", mimeType: "image/png", buffer: PNG },
      { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") },
    ]);
    await page.getByText("5 B").waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await until(() => site.ctx.accepted.length === 1);
    const { files, visitor } = site.ctx.accepted[0] as PostedMessage;
    assert.deepEqual(
      files.map(({ kind, name }) => [kind, name]),
      [
        ["image", "pic.png"],
        ["file", "notes.txt"],
      ],
    );
    const picture = log(page).getByRole("img", { name: "pic.png" });
    await picture.waitFor();
    await page.waitForFunction(
      () => document.querySelector<HTMLImageElement>("#log img")?.naturalWidth === 1,
    );
    const wave = Buffer.concat([
      Buffer.from("RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0", "latin1"),
      Buffer.alloc(20),
    ]);
    const file = { kind: "audio" as const, data: wave.toString("base64"), name: "beep.wav" };
    await site.client.send(
      { kind: "file", file },
      { conversation: visitor },
      { key: "wav", signal: site.ctx.signal },
    );
    await log(page).locator("audio[controls]").waitFor();
    const saving = page.waitForEvent("download");
    await log(page)
      .getByRole("link", { name: /notes\.txt/ })
      .click();
    assert.equal((await saving).suggestedFilename(), "notes.txt");
  });

  it("shows who is typing until the answer comes, an edit in its place, and what was taken back no more", async () => {
    const site = await open();
    const page = await visit(site.base);
    await write(page, "hello");
    await until(() => site.ctx.accepted.length === 1);
    const to = { conversation: (site.ctx.accepted[0] as PostedMessage).visitor };
    await site.client.typing?.(to);
    await page.locator(".typing").waitFor();
    const { messageId } = await say(site, "first words");
    await page.locator(".typing").waitFor({ state: "detached" });
    const options = { key: "e", signal: site.ctx.signal };
    await site.client.edit?.(messageId, { kind: "text", text: "last words", plain: "" }, to, options);
    await page.getByText("last words").waitFor();
    await page.getByText("edited").waitFor();
    assert.equal(await page.getByText("first words").count(), 0);
    await site.client.remove?.(messageId, to, options);
    await page.getByText("last words").waitFor({ state: "detached" });
  });

  it("works with the keyboard alone", async () => {
    const site = await open({ settings: { options: { suggestions: "Press me" } } });
    const page = await visit(site.base);
    await page.getByText("Online").waitFor();
    const focused = () =>
      page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent);
    assert.equal(await focused(), "text");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    assert.equal(site.ctx.accepted.length, 0);
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focused(), "attach");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focused(), "Press me");
    const outline = await page.evaluate(
      () => getComputedStyle(document.activeElement as Element).outlineStyle,
    );
    assert.equal(outline, "solid");
    await page.keyboard.press("Enter");
    await until(() => site.ctx.accepted.length === 1);
    assert.equal(await focused(), "text");
    await page.keyboard.press("Enter");
    await until(() => site.ctx.accepted.length === 2);
    assert.equal((site.ctx.accepted[1] as PostedMessage).text, "one\ntwo");
  });

  it("everything that can be pressed or filled in has a name for screen readers", async () => {
    const site = await open({ settings: { options: { suggestions: "One" } } });
    const page = await visit(site.base);
    await page.getByText("Online").waitFor();
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, a, textarea, input:not([hidden])")]
        .filter((element) => element.checkVisibility())
        .filter((element) => !element.getAttribute("aria-label") && !element.textContent?.trim())
        .map((element) => element.outerHTML),
    );
    assert.deepEqual(nameless, []);
    assert.equal(await log(page).getAttribute("aria-live"), "polite");
    assert.equal(await log(page).getAttribute("aria-busy"), "false");
  });

  for (const colorScheme of ["light", "dark"] as const) {
    it(`can be read in ${colorScheme}: text stands out 4.5 to 1`, async () => {
      const site = await open();
      answer(site, () => "An answer with a [link](https://example.org) and `code`.");
      const page = await visit(site.base, await context({ colorScheme }));
      await write(page, "hello");
      await log(page).locator("code").waitFor();
      // tsx names functions with a function of its own, which the browser does not have.
      await page.evaluate("globalThis.__name = (named) => named");
      const ratios = await page.evaluate(contrasts);
      assert.ok(ratios.length >= 5);
      for (const { what, ratio } of ratios) assert.ok(ratio >= 4.5, `${what}: ${ratio.toFixed(2)}`);
      const back = await page.evaluate(
        () => getComputedStyle(document.getElementById("chat") as Element).backgroundColor,
      );
      assert.equal(back === "rgb(255, 255, 255)", colorScheme === "light");
    });
  }

  for (const color of ["#facc15", "#3b9a3b", "#0a1a4a", "#000000", "#ffffff"]) {
    it(`whatever accent the owner chose can be read, such as ${color}`, async () => {
      const site = await open({ settings: { options: { color, suggestions: "Press me" } } });
      answer(site, () => "An answer with a [link](https://example.org).");
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await visit(site.base, await context({ colorScheme }));
        await page.getByRole("button", { name: "Press me" }).waitFor();
        await page.evaluate("globalThis.__name = (named) => named");
        const suggestion = (await page.evaluate(contrasts)).filter(({ what }) => what.includes("Press me"));
        await write(page, "hello");
        await log(page).getByRole("link").waitFor();
        const ratios = [...suggestion, ...(await page.evaluate(contrasts))];
        for (const { what, ratio } of ratios)
          assert.ok(ratio >= 4.5, `${colorScheme}: ${what}: ${ratio.toFixed(2)}`);
      }
    });
  }

  for (const width of [320, 1600]) {
    it(`fits ${width} px: nothing sticks out sideways`, async () => {
      const site = await open({
        settings: { options: { title: "A title that is rather long for such a phone" } },
      });
      const table =
        "| one | two | three | four | five |\n|-|-|-|-|-|\n| aaaaaaaaaa | bbbbbbbbbb | cccccccccc | dddddddddd | eeeeeeeeee |";
      answer(
        site,
        () =>
          `${"w".repeat(300)}\n\n\`\`\`\n${"code ".repeat(80)}\n\`\`\`\n\n${table}\n\nhttps://example.org/${"x".repeat(200)}`,
      );
      const page = await visit(site.base, await context({ viewport: { width, height: 568 } }));
      await write(page, "y".repeat(200));
      await log(page).locator("table").waitFor();
      const overflow = await page.evaluate(() =>
        ["html", "body", "#log", "#chat"].map((place) => {
          const element = document.querySelector(place) as Element;
          return element.scrollWidth - element.clientWidth;
        }),
      );
      assert.deepEqual(overflow, [0, 0, 0, 0]);
    });
  }

  it("keeps the newest in sight, unless the visitor reads further up", async () => {
    const site = await open();
    const page = await visit(site.base);
    await write(page, "hello");
    await until(() => site.ctx.accepted.length === 1);
    for (let n = 0; n < 30; n += 1) await say(site, `line ${n}`);
    await page.getByText("line 29").waitFor();
    await page.waitForFunction(() => {
      const { scrollHeight, scrollTop, clientHeight } = document.getElementById("log") as HTMLElement;
      return scrollHeight - scrollTop - clientHeight < 5;
    });
    await log(page).hover();
    await page.mouse.wheel(0, -2000);
    await page.waitForFunction(() => (document.getElementById("log") as HTMLElement).scrollTop < 100);
    await say(site, "something new");
    await page.getByRole("button", { name: "New messages" }).click();
    await page.getByText("something new").waitFor();
    await page.getByRole("button", { name: "New messages" }).waitFor({ state: "hidden" });
  });

  it("text that runs from right to left does", async () => {
    const site = await open();
    const page = await visit(site.base);
    await write(page, "مرحبا بالعالم");
    const direction = await log(page)
      .locator(".me .bubble")
      .evaluate((bubble) => getComputedStyle(bubble).direction);
    assert.equal(direction, "rtl");
  });

  it("asks for the access code, says when it is wrong, and does not ask again", async () => {
    const site = await open({ settings: { credentials: { token: "maple" } } });
    const page = await visit(site.base);
    await page.getByLabel("Access code").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("This access code is not right.").waitFor();
    await page.getByLabel("Access code").fill("maple");
    await page.keyboard.press("Enter");
    await page.getByText("Hello!").waitFor();
    await write(page, "in");
    await until(() => site.ctx.accepted.length === 1);
    await page.reload();
    await page.getByText("Hello!").waitFor();
    assert.equal(await page.getByLabel("Access code").isVisible(), false);
  });

  it("works behind a proxy that takes its prefix off", async () => {
    const site = await open({ root: "/api" });
    answer(site);
    const proxy = createServer((incoming, outgoing) => {
      const inner = `/api${(incoming.url ?? "").replace(/^\/ingress\/abc/, "")}`;
      const on = request(
        {
          port: site.port,
          path: inner,
          method: incoming.method,
          headers: { ...incoming.headers, host: "internal:1" },
        },
        (from) => {
          outgoing.writeHead(from.statusCode ?? 500, from.headers);
          from.pipe(outgoing);
        },
      );
      on.on("error", () => outgoing.destroy());
      outgoing.on("close", () => on.destroy());
      incoming.pipe(on);
    });
    const address = await listen(proxy);
    const page = await visit(`${address}/ingress/abc/redclaw/web/a1b2c3d4`);
    await write(page, "through the proxy");
    await page.getByText("You said: through the proxy").waitFor();
    const [cookie] = await page.context().cookies();
    assert.equal(cookie?.path, "/ingress/abc/redclaw/web/a1b2c3d4");
  });

  it("weighs less than 60 kB and asks nobody else", async () => {
    const folder = await builtPage();
    const weight = ["page.html", "page.js", "page.css"].reduce(
      (sum, name) => sum + readFileSync(path.join(folder, name)).length,
      0,
    );
    assert.ok(weight < 60_000, `${weight}`);
    const site = await open();
    const made = await context();
    const asked: string[] = [];
    made.on("request", (made) => asked.push(made.url()));
    const page = await visit(site.base, made);
    await page.getByText("Online").waitFor();
    for (const url of asked) assert.ok(url.startsWith(site.base) || url.startsWith("data:"), url);
  });

  describe("widget", () => {
    async function foreign(widget: () => string): Promise<string> {
      const html = () =>
        `<!doctype html><title>Bakery</title><h1>Bakery</h1><script src="${widget()}" async></script>`;
      const policy = "script-src 'self' http:; style-src 'self'";
      return listen(
        createServer((_, response) =>
          response
            .writeHead(200, { "Content-Type": "text/html", "Content-Security-Policy": policy })
            .end(html()),
        ),
      );
    }

    it("talks on a listed site, closes with Escape, and counts what came meanwhile", async () => {
      let base = "";
      const address = (await foreign(() => `${base}widget.js`)).replace("127.0.0.1", "localhost");
      const site = await open({ settings: { options: { title: "Ask us", allowOrigins: address } } });
      base = site.base;
      answer(site);
      const page = await visit(address);
      const button = page.locator(".launch");
      assert.equal(await button.getAttribute("aria-label"), "Ask us");
      await button.press("Enter");
      const frame = page.frameLocator("iframe");
      await frame.getByText("Online").waitFor();
      assert.equal(await button.getAttribute("aria-expanded"), "true");
      await frame.getByLabel("Write a message…").fill("hello");
      await frame.getByLabel("Write a message…").press("Enter");
      await frame.getByText("You said: hello").waitFor();
      await frame.getByLabel("Write a message…").press("Escape");
      await page.locator(".panel").waitFor({ state: "hidden" });
      assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("data-redclaw")), "widget");
      await say(site, "are you still there?");
      await page.locator(".badge", { hasText: "1" }).waitFor();
      await button.click();
      await page.locator(".badge").waitFor({ state: "hidden" });
      await page.reload();
      await say(site, "after the reload");
      await page.locator(".badge", { hasText: "1" }).waitFor();
      await button.click();
      await frame.getByText("You said: hello").waitFor();
    });

    it("says on a site that is not listed that it may not be shown, and leads to its own window", async () => {
      let base = "";
      const address = (await foreign(() => `${base}widget.js`)).replace("127.0.0.1", "localhost");
      const site = await open();
      base = site.base;
      const page = await visit(address);
      await page.locator(".launch").click();
      const link = page.getByRole("link", { name: "Open it in its own window" });
      await link.waitFor({ timeout: 9_000 });
      assert.equal(await link.getAttribute("href"), site.base);
    });

    it("can be closed on a phone also where it may not be shown, and the way out can be read in the dark", async () => {
      let base = "";
      const address = (await foreign(() => `${base}widget.js`)).replace("127.0.0.1", "localhost");
      const site = await open();
      base = site.base;
      const phone = await context({ viewport: { width: 320, height: 568 }, colorScheme: "dark" });
      const page = await visit(address, phone);
      await page.locator(".launch").click();
      const link = page.getByRole("link", { name: "Open it in its own window" });
      await link.waitFor({ timeout: 9_000 });
      assert.equal(await link.evaluate((element) => getComputedStyle(element).colorScheme), "light");
      await page.locator(".launch").click();
      await page.locator(".panel").waitFor({ state: "hidden" });
    });

    it("a phone that has the chat on its whole screen shows no second button over it", async () => {
      let base = "";
      const address = (await foreign(() => `${base}widget.js`)).replace("127.0.0.1", "localhost");
      const site = await open({ settings: { options: { allowOrigins: address } } });
      base = site.base;
      const page = await visit(address, await context({ viewport: { width: 320, height: 568 } }));
      await page.locator(".launch").click();
      const frame = page.frameLocator("iframe");
      await frame.getByText("Online").waitFor();
      await page.locator(".launch").waitFor({ state: "hidden" });
      await frame.getByRole("button", { name: "Close the chat" }).click();
      await page.locator(".panel").waitFor({ state: "hidden" });
    });
  });

  async function listen(server: Server): Promise<string> {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
});

/** Runs in the page: how much visible text stands out from what is behind it. */
function contrasts(): { what: string; ratio: number }[] {
  const pen = document
    .createElement("canvas")
    .getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
  const paint = (colors: string[]) => {
    pen.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      pen.fillStyle = color;
      pen.fillRect(0, 0, 1, 1);
    }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb: number[]) => {
    const [red = 0, green = 0, blue = 0] = rgb.map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  return [
    ...document.querySelectorAll<HTMLElement>(
      "h1, .state, .bubble p, .bubble a, .bubble code, .buttons button, time",
    ),
  ].map((element) => {
    const behind: string[] = [];
    for (let at: HTMLElement | null = element; at; at = at.parentElement)
      behind.unshift(getComputedStyle(at).backgroundColor);
    const [back, front] = [light(paint(behind)), light(paint([...behind, getComputedStyle(element).color]))];
    return {
      what: `${element.tagName} ${element.textContent}`,
      ratio: (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05),
    };
  });
}
