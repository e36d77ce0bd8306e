/** The *Test connection* button: asks the platform with what stands in the form, saved or not. */
import type { Form } from "./form";
import type { EditorNode } from "./red";
import { word } from "./words";

/** Answer of the test routes of accounts and models. */
interface TestAnswer {
  ok?: boolean;
  sentence?: string;
  /** Address or `data:` URL of a small picture. */
  picture?: string;
}

/** No platform takes longer than this to answer who a token is; the browser gives up a little later than the server. */
const TEST_TIMEOUT_MS = 30_000;

/**
 * Wires the button `[data-redclaw=test]` of the form and shows the answer in `.redclaw-result`.
 * `request` is read at each click: a relative address (Node-RED's prefix and token are added) and a JSON body.
 */
export function wireTest(form: Form, request: () => { url: string; body: object }): void {
  const button = form.element.querySelector<HTMLButtonElement>("[data-redclaw=test]");
  const result = form.element.querySelector<HTMLElement>(".redclaw-result");
  if (!button || !result) return;
  button.addEventListener("click", () => {
    const { url, body } = request();
    button.disabled = true;
    show(result, "waiting", word("test.waiting"));
    const end = (answer: TestAnswer | undefined, status: number) => {
      button.disabled = false;
      if (!result.isConnected) return;
      if (answer?.sentence)
        show(result, answer.ok ? "right" : "wrong", answer.sentence, answer.ok ? answer.picture : undefined);
      else
        show(result, "wrong", word(status === 401 || status === 403 ? "test.notAllowed" : "test.noAnswer"));
    };
    $.ajax({
      url,
      type: "POST",
      contentType: "application/json",
      dataType: "json",
      data: JSON.stringify(body),
      timeout: TEST_TIMEOUT_MS,
    }).then(
      (answer) => end(answer as TestAnswer, 200),
      (call) => end(call.responseJSON as TestAnswer | undefined, call.status),
    );
  });
}

/** What the test of an account sends: the form's values; a stored secret stays `__PWRD__` and is known to the server. */
export function accountRequest(form: Form, node: EditorNode): { url: string; body: object } {
  const pick = (names: string[]) => Object.fromEntries(names.map((name) => [name, form.value(name)]));
  return {
    url: `redclaw/api/accounts/${encodeURIComponent(node.id)}/test`,
    body: {
      type: node.type,
      credentials: pick(Object.keys(node._def.credentials ?? {})),
      options: pick(Object.keys(node._def.defaults)),
    },
  };
}

function show(
  result: HTMLElement,
  state: "waiting" | "right" | "wrong",
  sentence: string,
  picture?: string,
): void {
  result.className = `redclaw-result redclaw-${state}`;
  const icon = document.createElement("i");
  icon.setAttribute("aria-hidden", "true");
  icon.className = `fa ${{ waiting: "fa-circle-o-notch fa-spin", right: "fa-check-circle", wrong: "fa-exclamation-circle" }[state]}`;
  const text = document.createElement("span");
  text.textContent = sentence;
  result.replaceChildren(icon, text);
  if (picture) {
    const image = document.createElement("img");
    image.alt = "";
    image.addEventListener("error", () => image.remove());
    image.src = picture;
    result.replaceChildren(image, text);
  }
}
