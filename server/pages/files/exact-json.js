/* JSON of the server, for people to read. */

/** What the text says, with numbers as they are written where the browser can, else those beyond 53 bits are rounded; null if it is no JSON. */
export function exactly(text) {
  const asWritten = (_, value, context) =>
    typeof value === "number" && context?.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
  try {
    return JSON.parse(text, asWritten);
  } catch {
    return null;
  }
}
