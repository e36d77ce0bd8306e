import { startNodeRed } from "/work/main/test/nodered/runtime";
import { Editor } from "/work/main/test/editor/browser";
process.env.REDCLAW_SCREENSHOTS="/tmp/editor";
(async () => {
  const red = await startNodeRed({});
  try {
    console.log((await red.get<any[]>("nodes")).filter((n) => n.module.includes("redclaw")).map((n) => [n.id, n.types, n.err]));
    const e = await Editor.open(red, { dark: process.argv.includes("dark") });
    const ns = process.argv.includes("dark") ? "-dark" : "";
    await e.screenshot("01-open"+ns);
    const tin = await e.drag("redclaw-telegram-in", 150, 100);
    const rep = await e.drag("redclaw-reply", 550, 100);
    await e.drag("redclaw-web-in", 150, 180);
    await e.drag("redclaw-telegram-out", 550, 180);
    await e.wire(tin, rep);
    await e.screenshot("02-dragged"+ns);
    await e.edit(tin);
    await e.screenshot("03-in-form"+ns);
    await e.page.click("#node-input-btn-account-add");
    await e.page.waitForTimeout(600);
    await e.screenshot("04-account-form"+ns);
    await e.page.fill("#node-config-input-token", "wrong");
    await e.page.click("details summary >> visible=true");
    await e.page.waitForTimeout(200);
    await e.page.selectOption("#node-config-input-mode", "webhook");
    await e.page.click("[data-redclaw=test]");
    await e.page.waitForTimeout(1500);
    await e.screenshot("05-account-full"+ns);
    console.log("faults", e.faults);
    await e.close();
  } catch (err) { console.log(err); console.log(red.logs()); } finally { await red.stop(); }
})();
