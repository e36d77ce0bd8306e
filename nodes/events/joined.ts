/**
 * The same news of the same account again and again become few: the first goes out at once; what follows within ten
 * seconds goes out as one, the newest, with the count of those that it stands for.
 */
import type { News } from "../../lib/delivery/news";

const WINDOW_MS = 10_000;

/** `count`: how many news this one stands for. */
export type CountedNews = News & { count: number };

interface Window {
  timer: NodeJS.Timeout;
  last?: CountedNews;
}

export class Joined {
  readonly #windows = new Map<string, Window>();
  readonly #out: (news: CountedNews) => void;
  readonly #windowMs: number;

  constructor(out: (news: CountedNews) => void, windowMs = WINDOW_MS) {
    this.#out = out;
    this.#windowMs = windowMs;
  }

  add(news: News): void {
    const key = `${news.event}|${news.account ?? ""}`;
    const window = this.#windows.get(key);
    if (window) window.last = { ...news, count: (window.last?.count ?? 0) + 1 };
    else this.#tell(key, { ...news, count: 1 });
  }

  #tell(key: string, news: CountedNews): void {
    const timer = setTimeout(() => this.#end(key), this.#windowMs);
    timer.unref();
    this.#windows.set(key, { timer });
    this.#out(news);
  }

  #end(key: string): void {
    const last = this.#windows.get(key)?.last;
    this.#windows.delete(key);
    if (last) this.#tell(key, last);
  }

  close(): void {
    for (const { timer } of this.#windows.values()) clearTimeout(timer);
    this.#windows.clear();
  }
}
