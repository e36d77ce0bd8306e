/** All dialects by name. */
import type { Dialect } from "../types";
import type { DialectWriter } from "./dialect";
import { html } from "./html";
import { markdown } from "./markdown";
import { plain } from "./plain";

export const dialects: Readonly<Record<Dialect, DialectWriter>> = { html, markdown, plain };
