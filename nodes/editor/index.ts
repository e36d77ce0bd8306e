/** The global `Redclaw` of the editor: what the forms of all node sets share, also those of other packages. */
import { showAddress } from "./address";
import { wireChats } from "./chats";
import {
  checkAccount,
  checkAddress,
  checkField,
  checkLimits,
  checkNumber,
  checkPort,
  checkProxies,
} from "./checks";
import { type Form, openForm } from "./form";
import type { EditorNode } from "./red";
import { accountRequest, wireTest } from "./test";

/** `oneditprepare` of an account. */
function openAccount(node: EditorNode, { channel }: { channel: string }): Form {
  const form = openForm(node);
  showAddress(form, channel, node.id);
  wireTest(form, () => accountRequest(form, node));
  return form;
}

/** `onadd` of an in- or out-node: where there is only one account, it is the one that is meant. */
function takeOnlyAccount(node: EditorNode): void {
  if (node["account"]) return;
  const accounts: string[] = [];
  const type = node._def.defaults["account"]?.type;
  RED.nodes.eachConfig((config) => {
    if (config.type === type && !config.d && (!config["z"] || config["z"] === node["z"]))
      accounts.push(config.id);
  });
  if (accounts.length === 1) node["account"] = accounts[0];
}

/** `oneditprepare` of an in-node. */
function openIn(node: EditorNode): void {
  const form = openForm(node);
  const chosen = new Set([node["kinds"]].flat().map(String));
  for (const box of kindBoxes(form.element)) box.checked = chosen.has(box.value);
  const fold = form.element.querySelector<HTMLDetailsElement>("details");
  const standard = JSON.stringify(node._def.defaults["kinds"]?.value);
  if (fold && JSON.stringify(node["kinds"]) !== standard) fold.open = true;
}

/** `oneditsave` of an in-node. Kinds that this version of the channel does not know stay as they are. */
function saveIn(node: EditorNode): void {
  const boxes = kindBoxes(document);
  const before = [node["kinds"]].flat().map(String).filter(Boolean);
  const known = new Set(boxes.map((box) => box.value));
  const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const kept = before.filter((kind) => chosen.has(kind) || !known.has(kind));
  const added = [...chosen].filter((kind) => !before.includes(kind));
  if (added.length > 0 || kept.length !== before.length) node["kinds"] = [...kept, ...added];
}

function kindBoxes(within: ParentNode): HTMLInputElement[] {
  return [...within.querySelectorAll<HTMLInputElement>("input[name=redclaw-kind]")];
}

/** `oneditprepare` of an out-node. */
function openOut(node: EditorNode): void {
  wireChats(openForm(node));
}

window.Redclaw = {
  openForm,
  openAccount,
  openIn,
  saveIn,
  takeOnlyAccount,
  openOut,
  wireTest,
  checkField,
  checkAccount,
  checkAddress,
  checkLimits,
  checkNumber,
  checkPort,
  checkProxies,
};
