/** The account's accent colour, with a text colour that can be read on it. */
export function paint(color: string | undefined): void {
  if (!color || !/^#[0-9a-f]{6}$/i.test(color)) return;
  const { style } = document.documentElement;
  style.setProperty("--accent", color);
  style.setProperty("--on-accent", onColor(color));
}

/** Black or white, whichever stands out more (WCAG relative luminance). */
export function onColor(color: string): string {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  return light / 0.05 > 1.05 / light ? "#000000" : "#ffffff";
}
