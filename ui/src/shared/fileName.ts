// A title as the name of a file: letters, digits, spaces and hyphens, and never longer than a folder view shows.
const LONGEST = 80;

/** The name without its ending; `fallback` where nothing of the title is left. */
export function fileName(title: string, fallback: string): string {
  const plain = title
    .replace(/[^\p{L}\p{N} -]/gu, "")
    .replace(/\s+/g, " ")
    .trim();
  const letters = [...plain];
  if (letters.length <= LONGEST) return plain || fallback;
  const cut = letters.slice(0, LONGEST).join("");
  // A name that ends in half a word reads like a fault; a title without spaces has to.
  const space = cut.lastIndexOf(" ");
  return (space > LONGEST / 2 ? cut.slice(0, space) : cut).trim();
}
