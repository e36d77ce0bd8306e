/** The choice of a chat: recent ones are offered by name while typing, an id can be typed as well. */
import type { Form } from "./form";
import type { Completion, Search } from "./red";
import { word } from "./words";

interface Chat {
  id: string;
  thread?: string;
  name?: string;
  kind?: string;
}

const ICONS: Record<string, string> = { direct: "fa-user", group: "fa-users", channel: "fa-bullhorn" };
/** A pause of this length in typing asks the server. */
const TYPING_PAUSE_MS = 150;

/** Makes `to` a typed input whose first type offers the chats of the account that is chosen in the same form. */
export function wireChats(form: Form): void {
  const search = chatSearch(() => String(form.value("account") ?? ""));
  const input = $(`#${form.prefix}to`);
  input.typedInput({
    default: "chat",
    typeField: $(`#${form.prefix}toType`),
    types: [
      { value: "chat", label: word("form.to.chat"), icon: "fa fa-comment-o", autoComplete: search },
      "msg",
      "str",
      "env",
      "flow",
      "global",
      "jsonata",
    ],
  });
  // The list opens with the field, not only with the first letter.
  const visible = input[0]?.parentElement?.querySelector<HTMLInputElement>(".red-ui-typedInput-input");
  visible?.addEventListener("focus", () => {
    if (visible.classList.contains("red-ui-autoComplete") && visible.value === "") {
      visible.dispatchEvent(
        new KeyboardEvent("keyup", { bubbles: true, key: "ArrowDown", keyCode: 40 } as KeyboardEventInit),
      );
    }
  });
}

function chatSearch(account: () => string): Search {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (typed, done) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const id = account();
      if (!id || id === "_ADD_") {
        done([]);
        return;
      }
      $.ajax({
        url: `redclaw/api/accounts/${encodeURIComponent(id)}/targets`,
        data: { q: typed },
        dataType: "json",
      }).then(
        (chats) => done(Array.isArray(chats) ? (chats as Chat[]).map(completion) : []),
        // Not deployed yet, or no connection: the id can still be typed.
        () => done([]),
      );
    }, TYPING_PAUSE_MS);
  };
}

function completion({ id, thread, name, kind }: Chat): Completion {
  const value = thread ? `${id}|${thread}` : id;
  const label = document.createElement("div");
  label.className = "redclaw-chat";
  const icon = document.createElement("i");
  icon.className = `fa ${ICONS[kind ?? ""] ?? "fa-comment-o"}`;
  const title = document.createElement("span");
  title.textContent = name || value;
  const detail = document.createElement("small");
  detail.textContent = value;
  label.append(icon, title, detail);
  return { value, label: $(label) };
}
